// The page of one file, or of several: which file is selected, and what follows from that.

const page = JSON.parse(document.getElementById('data').textContent);
const {comparison} = page;
const {files} = comparison;
const isOne = files.length === 1;
const reference = files[comparison.reference];
let selected = isOne ? 0 : comparison.smallest;
let qualityView = null;

const content = document.getElementById('content');
const tablesHolder = element('section', {id: 'tables', 'aria-labelledby': 'tables-title'});
const listsHolder = element('section', {id: 'lists', 'aria-labelledby': 'lists-title'});
const qualityHolder = chart('Quality against bytes; the table of files below has the numbers, and selects files');
const picker = element('select', {id: 'picker'}, files.map((of, place) => element('option', {value: place}, of.label)));

function quality(figures) {
  const name = ndcgName(reference);
  if (name) return figures.metrics ? figures.metrics[name] : null;
  return figures.agreement ? sharedItems(figures) : null;
}

function qualityTitle() {
  const name = ndcgName(reference);
  return name ? metricTitle(name) : `items of ${reference.agreement.k} shared with the reference`;
}

function qualityPoints() {
  const digits = ndcgName(reference) ? 4 : 1;
  const bySize = files.map((of, place) => place).sort((one, other) => files[one].bytes.file - files[other].bytes.file);
  return files.map((of, place) => [of, place]).filter(([of]) => quality(of) !== null).map(([of, place]) => ({
    place, label: short(of.label), bytes: of.bytes.file, quality: quality(of), best: of.is_best_trade_off,
    above: bySize.indexOf(place) % 2 === 0, align: alignOf(of),
    named: of.is_best_trade_off || place === comparison.reference || (files.length < 12 && innerWidth > 600),
    kind: place === comparison.reference ? 'reference' : of.is_best_trade_off ? 'best trade-off' : 'other',
    hint: [of.label, `${number(of.bytes.file)} bytes, ${number(of.times_smaller, 2)} times smaller`,
      `${qualityTitle()}: ${number(quality(of), digits)}`, of.is_best_trade_off ? 'best trade-off' : null,
      place === comparison.reference ? 'reference' : null].filter(Boolean),
  }));
}

async function showQuality() {
  qualityView = await draw(qualityHolder, qualityChart(qualityPoints(), qualityTitle(), selected), select);
}

// A name at the left or right end of the chart is written inwards.
function alignOf({bytes}) {
  const [least, ...others] = files.map((of) => Math.log(of.bytes.file)).sort((one, other) => one - other);
  const place = (Math.log(bytes.file) - least) / ((others.at(-1) - least) || 1);
  return place < 0.25 ? 'left' : place > 0.75 ? 'right' : 'center';
}

// Moves the ends of both axes towards their middle, or away from it; none given, to where they were.
function zoom(factor) {
  if (!qualityView) return;
  const around = ([low, high]) => {
    const [middle, half] = [(low + high) / 2, (factor * (high - low)) / 2];
    return [middle - half, middle + half];
  };
  const bytes = qualityView.scale('x').domain();
  const heights = qualityView.scale('y').domain();
  qualityView.signal('zoom_bytes', factor ? around(bytes.map(Math.log)).map(Math.exp) : null);
  qualityView.signal('zoom_quality', factor ? around(heights) : null);
  qualityView.runAsync();
}

function zoomButtons() {
  const button = (text, factor) => {
    const made = element('button', {type: 'button'}, text);
    made.addEventListener('click', () => zoom(factor));
    return made;
  };
  return element('div', {class: 'buttons'}, button('Zoom in', 0.6), button('Zoom out', 1 / 0.6), button('Show all', null));
}

function showSelected() {
  const figures = files[selected];
  const beside = isOne || figures === reference ? null : reference;
  showTables(tablesHolder, figures, beside, page.tables_left_out[selected]);
  if (!isOne) showLists(listsHolder, comparison, figures);
}

function select(place) {
  if (place === selected) return;
  selected = place;
  picker.value = String(place);
  document.getElementById('summary').textContent = files[place].summary;
  markSelected(place);
  if (qualityView) qualityView.signal('selected', place).runAsync();
  showSelected();
}

function partsOfOne() {
  const [figures] = files;
  return [
    fileFacts(figures),
    warningsOf(figures),
    tablesHolder,
    figures.report.origin ? section('making', 'How it was made', makingTable(files)) : null,
    page.measured ? section('times', 'On this machine',
      quiet(`${page.measured.processor}, ${page.measured.cores} cores: medians, calls from Python. Peak memory is what the resident memory of a new process grew by, pages of the file included.`),
      timesTable(figures, page.measured)) : null,
  ];
}

function partsOfSeveral() {
  const hasQuality = qualityPoints().length > 1;
  return [
    element('div', {class: 'choice'}, element('label', {for: 'picker'}, 'Selected file'), picker),
    hasQuality ? section('quality', 'Quality against bytes',
      quiet('The dashed line joins the best trade-offs: no smaller file is as good. Click a point to select its file. Drag to move; turn the wheel with Ctrl or Shift held to zoom.'),
      qualityHolder, zoomButtons()) : null,
    section('files', 'Files', filesTable(comparison, selected, select)),
    section('making', 'How each file was made', makingTable(files), sameModels(files)),
    tablesHolder,
    listsHolder,
  ];
}

picker.value = String(selected);
picker.addEventListener('change', () => select(Number(picker.value)));
content.append(...(isOne ? partsOfOne() : partsOfSeveral()).filter(Boolean));
document.body.append(hint);

function showAll() {
  if (qualityHolder.isConnected) showQuality();
  showSelected();
}

showAll();
// Colours are read when a chart is drawn.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', showAll);
