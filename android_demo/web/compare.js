// The open ranker beside another: bytes, time, and what both recommend after the same history.

import {byId, element, kilobytes} from './elements.js';
import {ModelFileError} from './model_file.js';

const RUNS = 50;

/** One side of a comparison: the list of a ranker, best first, as items of the data set. */
async function measured(name, ranker, items, row) {
  const {vocabulary, description, fields} = ranker.file;
  const history = description.history_length > 0 ?
      items.map((item) => vocabulary.id(item)).filter((id) => id !== undefined) : [];
  const names = (fields?.all ?? []).map((field) => field.name);
  const asked = {history, row: Object.fromEntries(Object.entries(row).filter(([field]) => names.includes(field)))};
  const {ids} = await ranker.rank(asked);
  return {name, file: ranker.file, ids, items: ids.map((id) => vocabulary.item(id)),
    milliseconds: await ranker.medianMilliseconds(asked, RUNS)};
}

/**
 * Ranks with two models after the same history.
 *
 * @param {{name: string, ranker: Ranker}[]} both the open one and the other
 * @param {string[]} items the history, as the data set calls it
 * @param {object} row values of the fields of either
 * @returns {Promise<{sides: object[], shared: Set<string>, places: number, ratio: number}>} `shared` are items of
 *     both lists, `places` those of the shorter list, and `ratio` how many times larger the second graph is
 */
export async function compare(both, items, row) {
  const sides = [];
  for (const {name, ranker} of both) sides.push(await measured(name, ranker, items, row)); // never two at a time
  const [first, second] = sides;
  return {
    sides,
    shared: new Set(first.items.filter((item) => second.items.includes(item))),
    places: Math.min(first.items.length, second.items.length),
    ratio: second.file.graphBytes / first.file.graphBytes,
  };
}

/** The dialog in which a person chooses what to compare with. */
export class Comparison {
  #asked = 0;
  #current;
  #openRanker;

  /** @param {function(File|string): Promise<Ranker>} openRanker opens a file, or a served one by its name */
  constructor(openRanker) {
    this.#openRanker = openRanker;
    byId('others').onchange = ({target}) => this.#with(target.value, target.value);
    byId('other-file').onchange = ({target}) => this.#with(target.files[0], target.files[0].name);
    byId('close-compare').onclick = () => byId('compare').close();
    byId('compare').onclose = () => ++this.#asked;
  }

  /**
   * Opens the dialog.
   *
   * @param {{name: string, ranker: Ranker, items: string[], row: object}} current the open model and its query
   * @param {string[]} others names of served models
   */
  async show(current, others) {
    this.#current = current;
    byId('others').replaceChildren(...others.map((name) => element('option', {textContent: name})));
    byId('others').parentElement.hidden = others.length === 0;
    byId('comparison').hidden = true;
    byId('compare-failure').hidden = true;
    byId('compare').showModal();
    if (others.length > 0) await this.#with(others[0], others[0]);
  }

  async #with(source, name) {
    const mine = ++this.#asked;
    const {ranker, items, row} = this.#current;
    byId('compare-failure').hidden = true;
    let other;
    try {
      other = await this.#openRanker(source);
      const found = await compare([{name: this.#current.name, ranker}, {name, ranker: other}], items, row);
      if (mine === this.#asked) showComparison(found);
    } catch (error) {
      if (mine !== this.#asked) return; // the open model may be closed by now
      if (!(error instanceof ModelFileError || error instanceof RangeError)) throw error;
      byId('comparison').hidden = true;
      byId('compare-failure').textContent = `${name} cannot be used. ${error.message}`;
      byId('compare-failure').hidden = false;
    } finally {
      other?.close();
    }
  }
}

function showComparison({sides, shared, places, ratio}) {
  byId('times').textContent = ratio >= 1 ? `${ratio.toFixed(1)}× smaller` : `${(1 / ratio).toFixed(1)}× larger`;
  byId('overlap').textContent = `${shared.size} of ${places} the same`;
  byId('sides').replaceChildren(...sides.map((side) => column(side, shared)));
  byId('comparison').hidden = false;
}

function column({name, file, ids, items, milliseconds}, shared) {
  const {description, vocabulary, bytes, graphBytes} = file;
  const weights = typeof description.weights === 'string' ? description.weights : 'mixed';
  const method = description.embeddings[0].method.replace(/Embedding$/, '');
  const rows = ids.map((id, place) => element('li', {className: shared.has(items[place]) ? 'shared' : ''},
      vocabulary.title(id), element('span', {
        className: 'hidden', textContent: shared.has(items[place]) ? ', in both lists' : ', in this list only',
      })));
  return element('section', {ariaLabel: name},
      element('h3', {textContent: `${method}, ${weights}`}),
      element('p', {className: 'caption', textContent: name}),
      element('p', {className: 'figure', textContent: kilobytes(graphBytes)}),
      element('p', {className: 'caption', textContent: `${kilobytes(bytes.length)} with titles`}),
      element('p', {className: 'caption', textContent: `${milliseconds.toFixed(2)} ms to rank`}),
      element('ol', {}, ...rows));
}
