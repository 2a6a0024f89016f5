// Elements of the page.

/** An element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

export const number = new Intl.NumberFormat('en');

/** A size as it is shown. */
export const kilobytes = (bytes) => `${number.format(Math.round(bytes / 1000))} kB`;
