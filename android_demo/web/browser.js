// The page in headless Chromium, for tests.

import assert from 'node:assert/strict';
import {mkdir, readFile} from 'node:fs/promises';
import {after, before} from 'node:test';
import {fileURLToPath} from 'node:url';
import puppeteer from 'puppeteer-core';
import {serve} from './serve.js';

export const BUILD = fileURLToPath(new URL('../../build/android/', import.meta.url));
let server;
let browser;

/** The page that `start` opened last. */
export let page;

before(async () => {
  server = await serve(0);
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

export async function start(colors = 'light') {
  await page?.close();
  page = await browser.newPage();
  // What no code expects must not go by.
  page.on('pageerror', (error) => assert.fail(error));
  await page.setViewport({width: 760, height: 1040, deviceScaleFactor: 1});
  await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: colors}]);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForSelector('#ranking li');
}

export const texts = (selector) => page.$$eval(selector, (found) => found.map(({textContent}) => textContent));

export async function choose(title) {
  const before = await texts('#history li');
  await page.type('#search', title);
  await page.click('#matches li');
  await page.waitForFunction((count) => document.querySelectorAll('#history li').length > count, {}, before.length);
}

export async function screenshot(name) {
  await mkdir(`${BUILD}screenshots`, {recursive: true});
  await page.screenshot({path: `${BUILD}screenshots/${name}.png`});
}

/** A file of the build's folder, for what runs in the page. */
export const base64 = (path) => readFile(`${BUILD}${path}`, 'base64');
