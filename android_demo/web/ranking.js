// The ranked list, and why each item is in it.

import {element} from './elements.js';

const SHOWN_REASONS = 4;

/** The rows of a list; the arrow keys go from one to the next, Enter says why, Delete hides. */
export class RankedRows {
  #list;
  #actions;
  #opened;
  #current = 0;

  /**
   * @param {HTMLOListElement} list holds the rows
   * @param {object} actions `add(id)` and `hide(id)` do as their buttons say; `leave()` is called when a person
   *     wants to be elsewhere
   */
  constructor(list, actions) {
    [this.#list, this.#actions] = [list, actions];
    list.addEventListener('keydown', (event) => this.#press(event));
    list.addEventListener('focusin', ({target}) => this.#setCurrent(this.#rows.indexOf(target.closest('li'))));
  }

  /**
   * Replaces the rows; the focus stays where it was in the list.
   *
   * @param {Vocabulary} vocabulary the items
   * @param {{ids: number[], scores: number[]}} ranked best first
   * @param {?object[][]} reasons what `reasonsOf` found; undefined where there is nothing to say
   * @param {boolean} canAdd whether items can join a history
   */
  show(vocabulary, {ids, scores}, reasons, canAdd) {
    const hadFocus = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...ids.map((id, place) => this.#row(
        vocabulary, {id, place, score: scores[place], likelihood: Math.exp(scores[place] - scores[0])},
        reasons?.[place], canAdd)));
    this.#setCurrent(Math.min(this.#current, ids.length - 1));
    if (hadFocus) this.#focus(this.#current);
  }

  get #rows() {
    return [...this.#list.children];
  }

  #row(vocabulary, {id, place, score, likelihood}, reasons, canAdd) {
    const name = vocabulary.title(id);
    const bar = element('div', {className: 'bar'});
    bar.style.width = `${100 * likelihood}%`;
    const shares = element('div', {id: `why-${id}`, role: 'group', className: 'reasons', ariaLabel: `Why ${name}`},
        ...(reasons ?? []).slice(0, SHOWN_REASONS).map((reason) => line(vocabulary, reason)));
    shares.hidden = shares.children.length === 0 || this.#opened !== id;
    const title = element('button', {className: 'title', textContent: name});
    if (shares.children.length > 0) {
      title.ariaExpanded = String(!shares.hidden);
      title.setAttribute('aria-controls', shares.id);
      title.onclick = () => this.#toggle(id);
    }
    const details = element('div', {},
        title,
        element('div', {className: 'caption', textContent: vocabulary.caption(id)}),
        element('div', {className: 'measure'},
            element('div', {className: 'track', ariaHidden: 'true'}, bar),
            element('span', {className: 'caption', textContent: score.toFixed(2)})));
    if (reasons) {
      const [strongest] = reasons;
      details.append(element('div', {className: 'why', textContent: strongest ?
          `Because of ${vocabulary.title(strongest.id)}` : 'For what it is, not for your history'}), shares);
    }
    const add = element('button', {
      className: 'add', textContent: '+', ariaLabel: `Add ${name} to the history`, hidden: !canAdd,
      onclick: () => this.#actions.add(id),
    });
    const hide = element('button', {
      className: 'hide', textContent: '×', ariaLabel: `Hide ${name}`, onclick: () => this.#actions.hide(id),
    });
    const row = element('li', {}, element('span', {className: 'place', textContent: place + 1}), details, add, hide);
    row.dataset.id = id;
    return row;
  }

  /** Opens the reasons of an item, or closes them; those of one item are open at most. */
  #toggle(id) {
    this.#opened = this.#opened === id ? undefined : id;
    for (const row of this.#rows) {
      const title = row.querySelector('.title');
      if (title.ariaExpanded === null) continue;
      const isOpen = Number(row.dataset.id) === this.#opened;
      title.ariaExpanded = String(isOpen);
      row.querySelector('.reasons').hidden = !isOpen;
    }
  }

  /** Of all rows, Tab reaches only the buttons of the current one. */
  #setCurrent(current) {
    this.#current = Math.max(0, current);
    for (const [place, row] of this.#rows.entries()) {
      for (const button of row.querySelectorAll('button')) button.tabIndex = place === this.#current ? 0 : -1;
    }
  }

  #focus(place) {
    this.#rows[place]?.querySelector('.title').focus();
  }

  #press(event) {
    const last = this.#rows.length - 1;
    const goal = {
      ArrowDown: Math.min(this.#current + 1, last), ArrowUp: Math.max(this.#current - 1, 0), Home: 0, End: last,
    }[event.key];
    if (goal !== undefined) {
      this.#focus(goal);
    } else if (event.key === 'Delete') {
      this.#actions.hide(Number(this.#rows[this.#current].dataset.id));
    } else if (event.key === 'Escape') {
      if (this.#opened === undefined) this.#actions.leave();
      else this.#toggle(this.#opened);
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** A share of the history in a recommendation. */
function line(vocabulary, {id, share}) {
  const bar = element('div', {className: 'bar'});
  bar.style.width = `${100 * share}%`;
  return element('div', {className: 'reason'},
      element('span', {textContent: vocabulary.title(id)}),
      element('span', {className: 'caption', textContent: `${Math.round(100 * share)} %`}),
      element('div', {className: 'track', ariaHidden: 'true'}, bar));
}
