// The form of a row: a field each.

import {Combobox} from './combobox.js';
import {element} from './elements.js';

const MATCHES = 6;

/** Shows fields in an element, and tells of every change. */
export class Form {
  #inputs = [];

  /**
   * @param {?Fields} fields those of a file; undefined shows none
   * @param {Element} container holds them
   * @param {function()} changed called when a person has changed a field
   */
  constructor(fields, container, changed) {
    this.changed = changed;
    container.replaceChildren(...(fields?.all ?? []).map((field) => this.#labelled(field)));
  }

  /** What was typed, by field, as a model takes it. */
  get row() {
    return Object.fromEntries(this.#inputs.map(([{name, vocabulary}, {value, validity}]) => {
      if (vocabulary) return [name, value];
      // What is no number has no value, as if it were missing.
      return [name, validity.badInput ? 'no number' : value === '' ? null : Number(value)];
    }));
  }

  #labelled(field) {
    const input = element('input', field.vocabulary ? {type: 'text', autocomplete: 'off'} : {type: 'number', step: 'any'});
    this.#inputs.push([field, input]);
    const label = element('label', {}, element('span', {className: 'caption', textContent: field.name}), input);
    if (!field.vocabulary) {
      input.oninput = () => this.changed();
      return element('div', {}, label);
    }
    const matches = element('ul', {className: 'matches', ariaLabel: `Values of ${field.name}`});
    const box = new Combobox(input, matches, {
      find: (text) => suggestions(field, text),
      choose: ({text}) => {
        input.value = text;
        box.close();
        this.changed();
      },
    });
    input.oninput = () => {
      box.search();
      this.changed();
    };
    return element('div', {}, label, matches);
  }
}

/** Categories that fit the last value of a text, and what the text becomes with each. */
function suggestions({separator, vocabulary}, text) {
  const last = separator === undefined ? text : text.split(separator).at(-1);
  const before = text.slice(0, text.length - last.length);
  return vocabulary.search(last, MATCHES).map((id) => vocabulary.title(id)).filter((title) => title !== last)
      .map((title) => ({title, text: before + title}));
}
