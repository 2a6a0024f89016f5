// The page: search, history and ranked list of a ranker, or the form of a model of rows.

import {Combobox} from './combobox.js';
import {Comparison} from './compare.js';
import {byId, element, kilobytes, number} from './elements.js';
import {Form} from './form.js';
import {ModelFileError, readModelFile} from './model_file.js';
import {Ranker, reasonsOf} from './ranker.js';
import {RankedRows} from './ranking.js';
import {Scorer} from './scorer.js';

const MATCHES = 8;

let ranker;
let scorer;
let form;
let name = '';
let history = [];
let chosen = []; // the history as items, which another model may know
let hidden = []; // the one hidden last at the end
let only = ''; // words whose titles alone are ranked
let asked = 0;

const rows = new RankedRows(byId('ranking'), {
  add: (id) => change([...history, id]),
  hide: (id) => {
    hidden.push(id);
    return show();
  },
  leave: () => byId('search').focus(),
});
const matches = new Combobox(byId('search'), byId('matches'), {
  find: (text) => ranker.file.vocabulary.search(text, MATCHES)
      .map((id) => ({id, title: ranker.file.vocabulary.title(id), caption: ranker.file.vocabulary.caption(id)})),
  choose: ({id}) => {
    byId('search').value = '';
    search();
    return change([...history.filter((other) => other !== id), id]);
  },
});

async function open(bytes, fileName) {
  byId('failure').hidden = true;
  let opened;
  try {
    opened = await openModel(bytes);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    byId('failure').textContent = `${fileName} cannot be used. ${error.message}`;
    byId('failure').hidden = false;
    return;
  }
  ++asked; // what was asked of the model before is not shown
  ranker?.close();
  scorer?.close();
  [ranker, scorer] = opened instanceof Scorer ? [undefined, opened] : [opened, undefined];
  name = fileName;
  byId('rows').hidden = !scorer;
  byId('items').hidden = !ranker;
  byId('show-compare').hidden = !ranker; // only lists are compared
  form = new Form(opened.file.fields, byId(scorer ? 'fields' : 'query-fields'), scorer ? score : show);
  if (scorer) {
    await score();
  } else {
    await start();
  }
}

/** The model of a file, ready to use. */
function openModel(bytes) {
  const file = readModelFile(bytes);
  if (file.texts) {
    throw new ModelFileError('This model gives vectors of texts, and neither ranks nor scores rows. ' +
        'Convert a NextItemRanker or a ClickModel.');
  }
  return file.vocabulary ? Ranker.open(file) : Scorer.open(file);
}

/** Opens a file to compare with, or a served one by its name. */
async function openRanker(source) {
  const bytes = typeof source === 'string' ? await served(source) : new Uint8Array(await source.arrayBuffer());
  const opened = await openModel(bytes);
  if (opened instanceof Ranker) return opened;
  opened.close();
  throw new ModelFileError('This model does not rank. Convert a NextItemRanker or a RetrievalModel.');
}

/** Shows a ranker that was opened. */
async function start() {
  const {vocabulary} = ranker.file;
  history = takesHistory() ? chosen.map((item) => vocabulary.id(item)).filter((id) => id !== undefined) : [];
  hidden = [];
  only = '';
  byId('search').hidden = !takesHistory();
  byId('search').disabled = false;
  byId('search').value = '';
  byId('search').placeholder = `Search ${number.format(vocabulary.size)} titles`;
  search();
  await show();
}

function takesHistory() {
  return ranker.file.description.history_length > 0;
}

/** Ranks; where another list is asked for in the meantime, only that is shown. */
async function show() {
  const mine = ++asked;
  const {vocabulary, bytes} = ranker.file;
  showChoice();
  let list;
  let reasons;
  try {
    const candidates = only ? vocabulary.search(only, Infinity) : null;
    list = await ranker.rank({history, exclude: hidden, candidates, row: ranker.file.fields ? form.row : {}});
    if (mine === asked && history.length > 0) reasons = await reasonsOf(ranker, history, list.ids);
  } catch (error) {
    if (mine !== asked) return; // the model may be closed by now
    if (!(error instanceof RangeError)) throw error;
    list = {ids: [], scores: [], problem: error.message};
  }
  if (mine !== asked) return;
  const {milliseconds, problem} = list;
  byId('heading').textContent = history.length > 0 || !takesHistory() ? 'Next for you' : 'To start with';
  byId('statistics').textContent = problem ?? `${number.format(vocabulary.size)} titles · ` +
      `${kilobytes(bytes.length)} · ranked in ${milliseconds.toFixed(2)} ms`;
  rows.show(vocabulary, list, reasons, takesHistory());
  document.body.dataset.ready = name; // for the test
}

/** The history, what is hidden, and the words of the titles that alone are ranked. */
function showChoice() {
  const {vocabulary} = ranker.file;
  byId('hint').hidden = history.length > 0 || !takesHistory();
  byId('history').replaceChildren(...history.toReversed().map((id) => element('li', {}, element('button', {
    textContent: vocabulary.title(id),
    ariaLabel: `Remove ${vocabulary.title(id)} from the history`,
    onclick: () => change(history.filter((other) => other !== id)),
  }))));
  const [last] = hidden.slice(-1);
  const titles = hidden.toReversed().map((id) => vocabulary.title(id)).join(', ');
  say('hidden-items', last && `Hidden: ${titles}`, last && `Undo: show ${vocabulary.title(last)} again`, () => hidden.pop());
  say('only', only && `Only titles with “${only}”`, 'Rank all', () => (only = ''));
}

/** Shows a line with its button, or hides it where there is nothing to say. */
function say(id, text, label, undo) {
  const line = byId(id);
  line.hidden = !text;
  if (!text) return;
  line.querySelector('span').textContent = text;
  const button = line.querySelector('button');
  button.ariaLabel = label;
  button.onclick = () => {
    undo();
    return show();
  };
}

async function score() {
  const mine = ++asked;
  const before = performance.now();
  let found;
  try {
    const probability = await scorer.score(form.row);
    found = {probability, milliseconds: performance.now() - before};
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    found = {problem: error.message};
  }
  if (mine === asked) showScore(found);
}

function showScore({probability, milliseconds, problem}) {
  const {bytes, fields} = scorer.file;
  byId('probability').textContent = problem ? '–' : `${(100 * probability).toFixed(1)} %`;
  byId('likely').style.width = problem ? 0 : `${100 * probability}%`;
  byId('row-statistics').textContent = problem ?? `${number.format(fields.all.length)} fields · ` +
      `${kilobytes(bytes.length)} · scored in ${milliseconds.toFixed(2)} ms`;
  document.body.dataset.ready = name; // for the test
}

function change(changed) {
  history = changed;
  chosen = history.map((id) => ranker.file.vocabulary.item(id));
  return show();
}

function search() {
  matches.search();
  byId('only-these').hidden = matches.size === 0;
  byId('no-matches').textContent = byId('search').value.trim() && matches.size === 0 ? 'No title fits.' : '';
}

async function fetched(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} must be served. Received: ${response.status}.`);
  return response;
}

async function served(fileName) {
  return new Uint8Array(await (await fetched(`/models/${fileName}`)).arrayBuffer());
}

async function openServed(fileName) {
  await open(await served(fileName), fileName);
}

const names = await (await fetched('/models/')).json();
byId('models').replaceChildren(...names.map((model) => element('option', {textContent: model})));
byId('models').onchange = ({target}) => openServed(target.value);
byId('file').onchange = async ({target}) => {
  const [file] = target.files;
  await open(new Uint8Array(await file.arrayBuffer()), file.name);
};
const comparison = new Comparison(openRanker);
byId('show-compare').onclick = () => {
  const items = history.map((id) => ranker.file.vocabulary.item(id));
  return comparison.show({name, ranker, items, row: ranker.file.fields ? form.row : {}}, names.filter((other) => other !== name));
};
byId('search').oninput = search;
byId('only-these').onclick = () => {
  only = byId('search').value.trim();
  byId('search').value = '';
  search();
  return show();
};
await openServed(names[0]);
