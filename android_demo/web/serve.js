// Serves this folder and the models of build/android from disk, to this machine alone.
//   node serve.js [PORT]

import {createReadStream} from 'node:fs';
import {readdir, stat} from 'node:fs/promises';
import {createServer} from 'node:http';
import {extname, join, normalize, sep} from 'node:path';
import {fileURLToPath} from 'node:url';

const PAGES = fileURLToPath(new URL('.', import.meta.url));
const MODELS = fileURLToPath(new URL('../../build/android/models/', import.meta.url));
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

async function answer(request, response) {
  const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
  if (path === '/models/') {
    const names = (await readdir(MODELS)).filter((name) => name.endsWith('.tflite'));
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(MODELS, name))).size));
    const bySize = names.map((name, index) => [sizes[index], name]).sort(([a], [b]) => a - b);
    response.writeHead(200, {'content-type': TYPES['.json']});
    response.end(JSON.stringify(bySize.map(([, name]) => name)));
    return;
  }
  const [root, rest] = path.startsWith('/models/') ? [MODELS, path.slice('/models/'.length)] : [PAGES, path];
  const file = normalize(join(root, rest === '/' ? 'index.html' : rest));
  const found = file.startsWith(normalize(root + sep)) && await stat(file).catch(() => null);
  if (!found || !found.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {'content-type': TYPES[extname(file)] ?? 'application/octet-stream'});
  createReadStream(file).pipe(response);
}

/** Starts serving; port 0 takes any that is free. */
export function serve(port) {
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await serve(Number(process.argv[2] ?? 8765));
  console.log(`Open http://127.0.0.1:${server.address().port}/ (Ctrl+C ends it)`);
}
