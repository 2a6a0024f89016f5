// Elements of the page. Texts come from files that anyone may have written: all are set as texts.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

const DASH = '\u2013';
const MANY_ROWS = 40;

function number(value, digits = 0) {
  if (value === null || value === undefined) return DASH;
  return value.toLocaleString('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits});
}

function percent(share, digits = 1) {
  return share === null || share === undefined ? DASH : `${number(100 * share, digits)} %`;
}

// A table whose first column names the rows. On a narrow screen it is scrolled, also by keys.
// Roles are said, since rows of texts become blocks there, which would take the roles away.
function table(caption, titles, rows, kind = '') {
  const head = element('tr', {role: 'row'},
    titles.map((title) => element('th', {scope: 'col', role: 'columnheader'}, title)));
  const lines = rows.map(({cells, ...attributes}) =>
    element('tr', {role: 'row', ...attributes}, cells.map((cell, place) => (place
      ? element('td', {role: 'cell', 'data-title': titles[place]}, cell)
      : element('th', {scope: 'row', role: 'rowheader'}, cell)))));
  return element('div', {class: rows.length > MANY_ROWS ? 'scroll long' : 'scroll', tabindex: 0, role: 'region', 'aria-label': `Table: ${caption}`},
    element('table', {class: kind, role: 'table'},
      element('caption', {class: 'visually-hidden'}, caption),
      element('thead', {role: 'rowgroup'}, head), element('tbody', {role: 'rowgroup'}, lines)));
}

// A name that may go on in a new line behind each stroke.
function pathName(text) {
  return element('span', {}, text.split('/').flatMap((part, place) => (place ? ['/', element('wbr'), part] : [part])));
}

function facts(pairs) {
  return element('dl', {class: 'facts'}, pairs.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value))));
}

function section(id, title, ...children) {
  return element('section', {id, 'aria-labelledby': `${id}-title`},
    element('h2', {id: `${id}-title`}, title), children);
}

function quiet(...texts) {
  return element('p', {class: 'quiet'}, ...texts);
}
