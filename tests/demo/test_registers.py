"""The committed registers are what the script makes of the sources, to the watt-hour."""

import csv
import gzip
from fractions import Fraction

import pytest

from commonwatt.demo.registers import DEVICES, REGISTERS_CSV, Role, make_registers, read_registers
from commonwatt.demo.registers.homes import FORTY_HOMES, SWISS_METERS
from commonwatt.errors import UserError

REGISTERS = read_registers()


def growth_wh(name, quantity=1):
    registers = REGISTERS[name]
    column = registers.quantities.index(quantity)
    return registers.rows[-1][1][column] - registers.rows[0][1][column]


def column_sum(path, name):
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return sum(Fraction(row[name]) for row in csv.DictReader(file) if row[name])


def test_registers_csv_is_reproduced_to_the_byte():
    """Running the script again changes nothing."""
    assert make_registers.make().encode() == REGISTERS_CSV.read_bytes()


def test_registers_csv_stays_small():
    """It is committed, so it stays under half a megabyte."""
    assert REGISTERS_CSV.stat().st_size < 500_000


@pytest.mark.parametrize("name", DEVICES)
def test_registers_cover_the_week_and_never_decrease(name):
    """Every register has a reading each quarter hour from Monday to Monday, and only grows, below its rating."""
    registers = REGISTERS[name]
    assert registers.quantities == DEVICES[name].quantities
    times = [time_s for time_s, _ in registers.rows]
    assert times == list(range(make_registers.START_S, make_registers.START_S + 7 * 86_400 + 1, 900))
    for (_, before), (_, after) in zip(registers.rows, registers.rows[1:], strict=False):
        for earlier_wh, later_wh in zip(before, after, strict=True):
            assert 0 <= later_wh - earlier_wh <= DEVICES[name].rated_power_w // 4


@pytest.mark.parametrize(("name", "meter"), list(SWISS_METERS.items())[:8])
def test_a_swiss_register_grows_by_the_sum_of_its_source(name, meter):
    """kWh of the source, in Wh."""
    assert growth_wh(name) == column_sum(make_registers.SWISS_CSV, meter) * 1000


def test_sceaux_registers_grow_by_the_sums_of_their_source():
    """Minutes of kW and of Wh."""
    path = make_registers.SCEAUX_CSV
    assert abs(growth_wh("sceaux-main") - column_sum(path, "Global_active_power") * 1000 / 60) <= 1
    assert growth_wh("sceaux-kitchen") == column_sum(path, "Sub_metering_1")
    assert growth_wh("sceaux-laundry") == column_sum(path, "Sub_metering_2")
    assert growth_wh("sceaux-heater") == column_sum(path, "Sub_metering_3")


def test_solar_register_grows_by_the_sum_of_its_source():
    """Half hours of W; the half hours around the week are at night."""
    assert (
        abs(growth_wh("emhass-solar", 2) - column_sum(make_registers.EMHASS_CSV, make_registers._EMHASS_SOLAR) / 2)
        <= 1
    )


def test_energy_identity_of_the_solar_home_holds_at_all_times():
    """Import − export = load − production since Monday, within the rounding of four registers."""
    load, _ = make_registers.emhass_energies()
    load_wh = make_registers.registers_wh(0, load)
    main, solar = REGISTERS["emhass-main"].rows, REGISTERS["emhass-solar"].rows
    for (_, (imported, exported)), (_, (produced,)), consumed in zip(main, solar, load_wh, strict=True):
        net_wh = (imported - main[0][1][0]) - (exported - main[0][1][1])
        assert abs(net_wh - (consumed - (produced - solar[0][1][0]))) <= 2


def test_interpolation_keeps_the_energy_of_each_half_hour():
    """However steep the neighbours, two quarters sum to the mean times half an hour, and none is negative."""
    means = [Fraction(value) for value in (0, 5, 4000, 0, 0, 900, 12)]
    quarters = make_registers.interpolate(means)
    assert [a + b for a, b in zip(quarters[::2], quarters[1::2], strict=True)] == [mean / 2 for mean in means[1:-1]]
    assert min(quarters) >= 0


def test_the_plugs_are_sub_meters_of_a_main_meter():
    """Each sub-meter's home has a main meter, which consumes at least as much."""
    plugs = [device for device in DEVICES.values() if device.role is Role.SUB_METER]
    assert len(plugs) == 3
    assert sum(growth_wh(plug.name) for plug in plugs) <= growth_wh("sceaux-main")


def test_at_answers_the_last_row_at_or_before():
    """Before the first row it is the first; after the last, the last."""
    registers = REGISTERS["swiss1"]
    start_s = make_registers.START_S
    assert registers.at(start_s - 1) == registers.at(start_s) == registers.rows[0]
    assert registers.at(start_s + 899.9) == registers.rows[0]
    assert registers.at(start_s + 900) == registers.rows[1]
    assert registers.at(start_s + 10**9) == registers.rows[-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n",
        "device,quantity,time_s,register_wh\nx,1,two,3\n",
        "device,quantity,time_s,register_wh\nx,1,0,3\nx,2,0,3\nx,1,900,4\n",
    ],
)
def test_read_registers_names_the_file_when_it_is_not_registers(tmp_path, text):
    """A wrong header, a word for a number, a missing register."""
    path = tmp_path / "registers.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"registers\.csv"):
        read_registers(path)


@pytest.fixture(scope="module")
def forty():
    """Energy of every register of the forty homes."""
    return make_registers.all_energies(FORTY_HOMES)


def test_forty_homes_are_all_there(forty):
    """Forty different meters on two feeders of at least 15 sites, twelve roofs, and no home on two feeders."""
    assert len(set(SWISS_METERS.values())) == len(FORTY_HOMES.homes) == 40
    assert len(FORTY_HOMES.roofs) == 12
    fed = [home for feeder in FORTY_HOMES.feeders for home in feeder.homes]
    assert sorted(fed) == sorted(FORTY_HOMES.homes)
    assert all(len(feeder.homes) >= 15 for feeder in FORTY_HOMES.feeders)
    assert set(forty) == {(d.name, q) for d in FORTY_HOMES.devices.values() for q in d.quantities}


@pytest.mark.parametrize("name", FORTY_HOMES.roofs)
def test_a_roof_makes_no_more_than_its_panels_and_nothing_by_night(forty, name):
    """Below its peak power in every quarter hour; asleep from 20 to 4 o'clock UTC."""
    made = forty[name, 2]
    assert 0 < max(made) * 4 <= FORTY_HOMES.roofs[name].peak_w
    assert not any(made[day * 96 + at] for day in range(7) for at in (*range(16), *range(80, 96)))


@pytest.mark.parametrize("name", FORTY_HOMES.roofs)
def test_a_home_with_a_roof_uses_what_was_measured(forty, name):
    """Import − export + production is the Swiss home's load, exactly, in every quarter hour."""
    home = FORTY_HOMES.devices[name].home
    load = make_registers.swiss_energies(FORTY_HOMES)[home]
    meters = zip(forty[home, 1], forty[home, 2], forty[name, 2], strict=True)
    assert [imported - exported + made for imported, exported, made in meters] == load
    assert all(min(both) == 0 for both in zip(forty[home, 1], forty[home, 2], strict=True))


def test_a_roof_is_scaled_from_its_sources_nameplate(forty):
    """The energy of three weeks of the sources, times the ratio of the nameplates."""
    sma = column_sum(make_registers.HERE / "sma" / "inverter_5min.csv.gz", "meas_val_f") * 1000 / 12
    assert sma == sum(
        sum(forty[f"{home}-roof", 2]) / kwp * 7 for home, kwp in (("swiss14", 9), ("swiss25", 7), ("swiss31", 6))
    )
    simbench = column_sum(make_registers.HERE / "simbench" / "roofs_15min.csv.gz", "PV3") / 4
    assert sum(forty["swiss11-roof", 2]) == simbench * 7500
