// The form of a model of rows: a field each, and the probability while one types.

const MATCHES = 6;

/** An element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Shows the fields of a scorer in an element, and tells of every change. */
export class Form {
  #inputs = [];
  #asked = 0;

  /**
   * @param {Scorer} scorer what `Scorer.open` returned
   * @param {Element} container holds the fields
   * @param {function({probability: ?number, milliseconds: ?number, problem: ?string})} show called
   *     with what is to be said of the row
   */
  constructor(scorer, container, show) {
    this.scorer = scorer;
    this.show = show;
    container.replaceChildren(...scorer.file.fields.all.map((field) => this.#labelled(field)));
  }

  /** Scores the row; where another one is asked for in the meantime, only that is shown. */
  async update() {
    const asked = ++this.#asked;
    const start = performance.now();
    let found;
    try {
      const probability = await this.scorer.score(this.#row());
      found = {probability, milliseconds: performance.now() - start};
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      found = {problem: error.message};
    }
    if (asked === this.#asked) this.show(found);
  }

  close() {
    ++this.#asked;
    this.scorer.close();
  }

  #row() {
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
      input.oninput = () => this.update();
      return element('div', {}, label);
    }
    const matches = element('ul', {className: 'matches', ariaLabel: `Values of ${field.name}`, hidden: true});
    const suggest = () => {
      const found = suggestions(field, input.value);
      matches.hidden = found.length === 0;
      matches.replaceChildren(...found.map(([title, text]) => element('li', {}, element('button', {
        type: 'button',
        textContent: title,
        onclick: () => {
          input.value = text;
          input.focus();
          matches.hidden = true;
          this.update();
        },
      }))));
    };
    input.oninput = () => {
      suggest();
      this.update();
    };
    return element('div', {}, label, matches);
  }
}

/** Categories that fit the last value of a text, and what the text becomes with each. */
function suggestions({separator, vocabulary}, text) {
  const last = separator === undefined ? text : text.split(separator).at(-1);
  const before = text.slice(0, text.length - last.length);
  return vocabulary.search(last, MATCHES).map((id) => vocabulary.title(id)).filter((title) => title !== last)
      .map((title) => [title, before + title]);
}
