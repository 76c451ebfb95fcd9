// react-custom-scrollbars-2 is CommonJS with its default behind two doors; esbuild opens one.
import * as module from '../node_modules/react-custom-scrollbars-2/lib/index.js';
const Scrollbars = module.default?.default ?? module.default?.Scrollbars ?? module.Scrollbars ?? module.default;
export default Scrollbars;
export { Scrollbars };
