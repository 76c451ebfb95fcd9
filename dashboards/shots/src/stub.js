// Stands for monaco, the editor that no picture shows: answers every question with itself.
const handler = { get: (_target, key) => (key === '__esModule' ? true : stub), apply: () => stub, construct: () => stub };
const stub = new Proxy(function () {}, handler);
export default stub;
export const editor = stub, languages = stub, KeyMod = stub, KeyCode = stub, Range = stub, Uri = stub;
export const MarkerSeverity = stub, Selection = stub, Position = stub, Emitter = stub, loader = stub, DiffEditor = stub;
