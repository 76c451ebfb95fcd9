"""What a person with a device on the bench needs: calibrating it, and the meter tables that its firmware carries."""
