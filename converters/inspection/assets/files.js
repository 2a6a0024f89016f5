// What each file is: sizes, metrics, times, and what it was made from.

const LONGEST_SETTINGS = 12;

function ndcgName(figures) {
  return Object.keys(figures.metrics || {}).find((name) => name.startsWith('ndcg@'));
}

function metricTitle(name) {
  return name.replace('ndcg', 'nDCG');
}

function sharedItems(figures) {
  return figures.agreement && figures.agreement.k * figures.agreement.common_share;
}

// The signature whose time is shown: that of a list, where there is one.
function timedSignature(figures) {
  const names = Object.keys(figures.milliseconds);
  return names.includes('rank') ? 'rank' : names[0];
}

// The table in which a file is selected.
function filesTable(comparison, selected, select) {
  const {files, reference} = comparison;
  const compared = files.find((of) => of.agreement);
  const metrics = Object.keys(files[reference].metrics || {});
  const errorOf = metrics.find((name) => name === `standard error of ${ndcgName(files[reference])}`);
  // Those of head, torso and tail are in the section on lists.
  const shown = metrics.filter((name) => /^\w+@\d+$/.test(name));
  const time = timedSignature(files[reference]);
  const titles = [
    'file', 'bytes', 'times smaller', 'without vocabulary', 'bytes compressed',
    ...(compared ? [`same of ${compared.agreement.k}`] : []),
    ...shown.map((name) => metricTitle(name)),
    ...(time ? [`${time}, ms`] : []),
  ];
  const rows = files.map((of, place) => {
    const input = element('input', {type: 'radio', name: 'file', value: place});
    input.checked = place === selected;
    input.addEventListener('change', () => select(place));
    const notes = [
      place === reference ? 'reference' : null,
      of.is_best_trade_off ? 'best trade-off' : null,
    ].filter(Boolean);
    const name = element('label', {}, input, element('span', {}, of.label,
      notes.length ? element('span', {class: 'quiet'}, ` (${notes.join(', ')})`) : null));
    const values = shown.map((metric) => {
      const error = metric === ndcgName(of) && errorOf ? ` \u00b1 ${number(of.metrics[errorOf], 4)}` : '';
      return of.metrics && metric in of.metrics ? number(of.metrics[metric], 4) + error : DASH;
    });
    const cells = [
      name, number(of.bytes.file), place === reference ? DASH : number(of.times_smaller, 2),
      number(of.bytes.graph), number(of.bytes.compressed),
      ...(compared ? [place === reference ? DASH : number(sharedItems(of), 1)] : []),
      ...values,
      ...(time ? [number(of.milliseconds[time]?.['1'], 3)] : []),
    ];
    return {cells, class: place === selected ? 'chosen' : false, 'data-place': place};
  });
  const made = table('Files: select one to see its tables and lists', titles, rows, 'files');
  made.addEventListener('click', (event) => {
    const row = event.target.closest('tr[data-place]');
    if (row && !event.target.closest('label')) select(Number(row.dataset.place));
  });
  return made;
}

function markSelected(place) {
  for (const row of document.querySelectorAll('.files tr[data-place]')) {
    const is = Number(row.dataset.place) === place;
    row.classList.toggle('chosen', is);
    row.querySelector('input').checked = is;
  }
}

function madeFrom(origin) {
  return origin ? `${origin.model} (${origin.sha256.slice(0, 8)})` : 'the file does not say';
}

function settingsOf(origin) {
  if (!origin) return DASH;
  const given = Object.entries(origin.settings);
  const words = given.slice(0, LONGEST_SETTINGS).map(([name, value]) => `${name} ${value}`);
  if (given.length > LONGEST_SETTINGS) words.push(`${given.length - LONGEST_SETTINGS} more`);
  return [origin.command, ...words].join(', ');
}

function storedAs(report) {
  const found = report.embeddings.map(({name, method, tables}) => {
    const bits = [...new Set(tables.map((of) => of.bits).filter((of) => of !== undefined))];
    return `${name}: ${method}${bits.length ? `, ${bits.join(' and ')} bits` : ''}`;
  });
  return found.length > 6 ? [...found.slice(0, 6), `and ${found.length - 6} more`] : found;
}

function lines(texts) {
  return element('span', {}, texts.flatMap((text, place) => (place ? [element('br'), text] : [text])));
}

// What was made from what, as far as the files say.
function makingTable(files) {
  const rows = files.map((of) => ({
    cells: [of.label, madeFrom(of.report.origin), settingsOf(of.report.origin),
      lines(storedAs(of.report)), of.report.producer ?? DASH, `${of.report.min_runtime_version} and later`],
  }));
  return table('How each file was made',
    ['file', 'made from (hash)', 'command and settings', 'tables', 'written by', 'TensorFlow Lite'], rows, 'texts');
}

function sameModels(files) {
  const byHash = new Map();
  for (const of of files.filter(({report}) => report.origin)) {
    const {sha256} = of.report.origin;
    byHash.set(sha256, [...(byHash.get(sha256) ?? []), of]);
  }
  return [...byHash.values()].filter((group) => group.length > 1)
    .map((group) => quiet(`Made from the same model: ${group.map((of) => of.label).join(', ')}.`));
}

// A file alone.
function fileFacts({report, bytes}) {
  return facts([
    ['bytes of the file', number(bytes.file)],
    ['compressed by zlib', number(bytes.compressed)],
    ['graph with its tables', number(bytes.graph)],
    ['float32 parameters, uncompressed', number(4 * report.uncompressed_parameters)],
    ['runs on TensorFlow Lite, from', report.min_runtime_version],
    ['signatures', report.signatures.join(', ')],
  ]);
}

function warningsOf({report}) {
  if (!report.warnings || !report.warnings.length) return null;
  return section('warnings', 'Warnings', element('ul', {}, report.warnings.map((text) => element('li', {}, text))));
}

// Latencies by thread, and what `--measure` found beside.
function timesTable(figures, measured) {
  const names = Object.keys(figures.milliseconds);
  const threads = [...new Set(names.flatMap((name) => Object.keys(figures.milliseconds[name])))];
  const rows = names.map((name) => ({
    cells: [name, ...threads.map((count) => number(figures.milliseconds[name][count], 3))],
  }));
  if (measured) {
    const peaks = threads.map((count) => measured.threads[count]?.peak_bytes);
    rows.push({cells: ['peak memory, MB', ...peaks.map((of) => number(of === null ? null : of / 1e6, 1))]});
  }
  const titles = threads.map((count) => `${count} thread${count === '1' ? '' : 's'}, ms`);
  return table('Latency of each signature', ['signature', ...titles], rows);
}
