// The page: search, history and ranked list of a ranker, or the form of a model of rows.

import {element, Form} from './form.js';
import {ModelFileError, readModelFile} from './model_file.js';
import {Ranker, strongestPulls} from './ranker.js';
import {Scorer} from './scorer.js';

const MATCHES = 8;
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');

let ranker;
let form;
let name = '';
let history = [];

async function open(bytes, fileName) {
  byId('failure').hidden = true;
  let opened;
  try {
    const file = readModelFile(bytes);
    opened = await (file.fields ? Scorer.open(file) : Ranker.open(file));
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    byId('failure').textContent = `${fileName} cannot be used. ${error.message}`;
    byId('failure').hidden = false;
    return;
  }
  form?.close();
  form = undefined;
  name = fileName;
  byId('rows').hidden = !(opened instanceof Scorer);
  byId('items').hidden = opened instanceof Scorer;
  if (opened instanceof Scorer) {
    // The ranker stays: the next one may know what was chosen.
    form = new Form(opened, byId('fields'), showScore);
    await form.update();
    return;
  }
  const items = ranker ? history.map((id) => ranker.file.vocabulary.item(id)) : [];
  ranker?.close();
  ranker = opened;
  const {vocabulary} = ranker.file;
  history = items.map((item) => vocabulary.id(item)).filter((id) => id !== undefined);
  byId('search').disabled = false;
  byId('search').placeholder = `Search ${number.format(vocabulary.size)} titles`;
  await show();
}

async function show() {
  const {vocabulary, bytes} = ranker.file;
  const {ids, scores, milliseconds} = await ranker.rank(history);
  const pulls = await strongestPulls(ranker, history, ids);
  byId('hint').hidden = history.length > 0;
  byId('history').replaceChildren(...history.toReversed().map((id) => element('li', {}, element('button', {
    textContent: vocabulary.title(id),
    ariaLabel: `Remove ${vocabulary.title(id)} from the history`,
    onclick: () => change(history.filter((other) => other !== id)),
  }))));
  byId('heading').textContent = history.length > 0 ? 'Next for you' : 'To start with';
  byId('statistics').textContent = `${number.format(vocabulary.size)} titles · ` +
      `${number.format(Math.round(bytes.length / 1000))} kB · ranked in ${milliseconds.toFixed(2)} ms`;
  byId('ranking').replaceChildren(...ids.map((id, place) => row(id, place, scores, pulls[place])));
  document.body.dataset.ready = name; // for the test
}

function showScore({probability, milliseconds, problem}) {
  const {bytes, fields} = form.scorer.file;
  byId('probability').textContent = problem ? '–' : `${(100 * probability).toFixed(1)} %`;
  byId('likely').style.width = problem ? 0 : `${100 * probability}%`;
  byId('row-statistics').textContent = problem ?? `${number.format(fields.all.length)} fields · ` +
      `${number.format(Math.round(bytes.length / 1000))} kB · scored in ${milliseconds.toFixed(2)} ms`;
  document.body.dataset.ready = name; // for the test
}

function row(id, place, scores, pull) {
  const {vocabulary} = ranker.file;
  const likelihood = Math.exp(scores[place] - scores[0]);
  const bar = element('div', {className: 'bar'});
  bar.style.width = `${100 * likelihood}%`;
  const details = element('div', {},
      element('div', {className: 'title', textContent: vocabulary.title(id)}),
      element('div', {className: 'caption', textContent: vocabulary.caption(id)}),
      element('div', {className: 'measure'},
          element('div', {className: 'track', ariaHidden: 'true'}, bar),
          element('span', {className: 'caption', textContent: scores[place].toFixed(2)})));
  if (pull !== undefined) {
    details.append(element('div', {className: 'why', textContent: `Because of ${vocabulary.title(pull)}`}));
  }
  const add = element('button', {
    className: 'add',
    textContent: '+',
    ariaLabel: `Add ${vocabulary.title(id)} to the history`,
    onclick: () => change([...history, id]),
  });
  const item = element('li', {}, element('span', {className: 'place', textContent: place + 1}), details, add);
  item.dataset.id = id;
  return item;
}

function change(changed) {
  history = changed;
  return show();
}

function search() {
  const {vocabulary} = ranker.file;
  const found = vocabulary.search(byId('search').value, MATCHES);
  byId('matches').hidden = found.length === 0;
  byId('matches').replaceChildren(...found.map((id) => element('li', {}, element('button', {
    onclick: () => {
      byId('search').value = '';
      search();
      change([...history.filter((other) => other !== id), id]);
    },
  }, vocabulary.title(id), element('div', {className: 'caption', textContent: vocabulary.caption(id)})))));
}

async function fetched(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} must be served. Received: ${response.status}.`);
  return response;
}

async function openServed(fileName) {
  await open(new Uint8Array(await (await fetched(`/models/${fileName}`)).arrayBuffer()), fileName);
}

const names = await (await fetched('/models/')).json();
byId('models').replaceChildren(...names.map((model) => element('option', {textContent: model})));
byId('models').onchange = ({target}) => openServed(target.value);
byId('file').onchange = async ({target}) => {
  const [file] = target.files;
  await open(new Uint8Array(await file.arrayBuffer()), file.name);
};
byId('search').oninput = search;
await openServed(names[0]);
