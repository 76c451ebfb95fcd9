// Bundles the page: `node build.mjs OUT`. Monaco is stubbed; everything else is what npm has.
import { build } from 'esbuild';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
const at = (name) => path.join(here, name);

await mkdir(out, { recursive: true });
await build({
  entryPoints: [at('src/main.tsx')],
  outdir: out,
  bundle: true,
  format: 'esm',
  splitting: true,
  minify: true,
  target: 'esnext',
  define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}', global: 'globalThis' },
  loader: Object.fromEntries(['.woff', '.woff2', '.ttf', '.svg', '.png', '.gif'].map((ending) => [ending, 'file'])),
  alias: {
    'react-router-dom-v5-compat': 'react-router-dom',
    'react-custom-scrollbars-2': at('src/scrollbars.js'),
    'monaco-editor': at('src/stub.js'),
    '@monaco-editor/react': at('src/stub.js'),
  },
  plugins: [
    {
      name: 'no-monaco',
      setup(bundler) {
        bundler.onResolve({ filter: /^monaco-(editor|promql)|^@kusto\// }, () => ({ path: at('src/stub.js') }));
      },
    },
  ],
  logLevel: 'warning',
});
await copyFile(at('src/index.html'), path.join(out, 'index.html'));
