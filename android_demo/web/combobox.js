// A text input with choices below it, by keyboard and pointer: the pattern "combobox" of ARIA.

import {element} from './elements.js';

let count = 0;

/** Shows what is found for a text, and lets a person choose one of it. */
export class Combobox {
  #input;
  #list;
  #found = [];
  #active = -1;
  #id = ++count;
  #find;
  #choose;

  /**
   * @param {HTMLInputElement} input what is typed into
   * @param {HTMLUListElement} list shows what is found; an element with a label
   * @param {object} does `find(text)` gives what fits a text, each as `{title, caption}`; `choose(found)` is called
   *     with the one that was chosen
   */
  constructor(input, list, {find, choose}) {
    [this.#input, this.#list, this.#find, this.#choose] = [input, list, find, choose];
    list.id ||= `choices-${this.#id}`;
    list.role = 'listbox';
    input.role = 'combobox';
    input.ariaAutoComplete = 'list';
    input.setAttribute('aria-controls', list.id);
    input.addEventListener('keydown', (event) => this.#press(event));
    this.close();
  }

  /** How many choices there are. */
  get size() {
    return this.#found.length;
  }

  /** Looks anew for what fits the text. */
  search() {
    this.#found = this.#find(this.#input.value);
    this.#active = -1;
    this.#list.replaceChildren(...this.#found.map((found, place) => this.#option(found, place)));
    this.#show();
  }

  close() {
    this.#found = [];
    this.#active = -1;
    this.#list.replaceChildren();
    this.#show();
  }

  #option(found, place) {
    return element('li', {
      id: `${this.#list.id}-${place}`,
      role: 'option',
      onmousedown: (event) => event.preventDefault(), // the input keeps the focus
      onclick: () => this.#choose(found),
    }, element('span', {textContent: found.title}), ...found.caption ?
        [element('div', {className: 'caption', textContent: found.caption})] : []);
  }

  #show() {
    const isOpen = this.size > 0;
    this.#list.hidden = !isOpen;
    this.#input.ariaExpanded = String(isOpen);
    for (const [place, option] of [...this.#list.children].entries()) {
      option.ariaSelected = String(place === this.#active);
    }
    const active = this.#list.children[this.#active];
    this.#input.setAttribute('aria-activedescendant', active?.id ?? '');
    active?.scrollIntoView({block: 'nearest'});
  }

  #press(event) {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const step = event.key === 'ArrowDown' ? 1 : -1;
      if (this.size === 0) this.search();
      if (this.size === 0) return;
      // One place more: that of the text, where none of them is active.
      const places = this.size + 1;
      this.#active = (this.#active + 1 + step + places) % places - 1;
      this.#show();
    } else if (event.key === 'Enter' && this.#active >= 0) {
      this.#choose(this.#found[this.#active]);
    } else if (event.key === 'Escape' && this.size > 0) {
      this.close();
    } else {
      return;
    }
    event.preventDefault();
  }
}
