// Charts by Vega-Lite. Its expressions are interpreted, since the page forbids code made of texts.

const shownCharts = new Map();
const MOST_BARS = 30;

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function look() {
  const text = color('text');
  const quietText = color('quiet');
  const labels = {labelColor: quietText, titleColor: text, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500};
  return {
    aria: false,
    background: null,
    font: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
    view: {stroke: null},
    axis: {...labels, gridColor: color('line'), domainColor: color('others'), tickColor: color('others')},
    legend: {...labels, orient: 'top', title: null},
    text: {color: text, fontSize: 12},
  };
}

// A hint beside the pointer: the lines of `hint` of what it is over.
const hint = element('div', {class: 'hint', hidden: true, 'aria-hidden': 'true'});

function showHint(handler, event, item, value) {
  const lines = value && item && item.datum && item.datum.hint;
  hint.hidden = !lines;
  if (!lines) return;
  const [first, ...others] = lines;
  hint.replaceChildren(element('b', {}, first), ...others.map((line) => element('div', {}, line)));
  const {width, height} = hint.getBoundingClientRect();
  hint.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
  hint.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4))}px`;
}

// Draws a chart into an element of the page; `chosen` is called with the place of a clicked file.
async function draw(holder, specification, chosen = null) {
  shownCharts.get(holder)?.finalize();
  shownCharts.delete(holder);
  const found = await vegaEmbed(holder, {width: 'container', ...specification}, {
    ast: true, actions: false, renderer: 'svg', defaultStyle: false, config: look(), tooltip: showHint,
  });
  // Drawn again meanwhile, or no more part of the page.
  if (!holder.isConnected) {
    found.finalize();
    return null;
  }
  shownCharts.set(holder, found);
  // The holder says what is seen; what the drawing is made of helps nobody.
  holder.querySelector('svg').setAttribute('aria-hidden', 'true');
  if (chosen) {
    found.view.addEventListener('click', (event, item) => {
      if (item && item.datum && Number.isInteger(item.datum.place)) chosen(item.datum.place);
    });
  }
  return found.view;
}

function chart(label) {
  return element('div', {class: 'chart', role: 'img', 'aria-label': label});
}

function short(text, most = 28) {
  return text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
}

const HINT = {field: 'hint'};

const heightOf = (rows, step) => step * new Set(rows.map((row) => row.name)).size;

function qualityChart(points, title, selected) {
  const isSelected = 'datum.place === selected';
  const x = {field: 'bytes', type: 'quantitative', scale: {type: 'log', nice: false, padding: 40}, title: 'bytes of the file', axis: {format: '~s', tickCount: 6}};
  const y = {field: 'quality', type: 'quantitative', scale: {zero: false, padding: 30}, title};
  return {
    height: 320,
    params: [{name: 'selected', value: selected}],
    data: {values: points},
    encoding: {x, y},
    layer: [
      {
        transform: [{filter: 'datum.best'}],
        mark: {type: 'line', strokeDash: [5, 4], color: color('others'), clip: true, tooltip: false},
        encoding: {order: {field: 'bytes', type: 'quantitative'}},
      },
      {
        params: [{
          name: 'zoom', select: {type: 'interval', zoom: 'wheel![event.ctrlKey || event.shiftKey]'}, bind: 'scales',
        }],
        mark: {type: 'point', filled: true, opacity: 1, clip: true, cursor: 'pointer'},
        encoding: {
          tooltip: HINT,
          size: {condition: {test: isSelected, value: 260}, value: 120},
          shape: {field: 'kind', type: 'nominal', scale: {domain: ['reference', 'best trade-off', 'other'], range: ['diamond', 'circle', 'square']}},
          color: {condition: {test: isSelected, value: color('accent')}, value: color('others')},
        },
      },
      // Above and below by turns, so that names of files alike do not lie on each other.
      ...[-16, 20].map((dy) => ({
        transform: [{filter: `datum.above === ${dy < 0} && (datum.named || ${isSelected})`}],
        mark: {type: 'text', dy, align: {expr: 'datum.align'}, clip: false, tooltip: false},
        encoding: {
          text: {field: 'label'},
          color: {condition: {test: isSelected, value: color('accent')}, value: color('text')},
        },
      })),
    ],
  };
}

// Names of tables at the side of a chart: of a long one the end, in which tables of a layer differ.
function tableNames() {
  const most = Math.floor(Math.min(240, innerWidth / 3) / 7);
  const labelExpr = `length(datum.label) > ${most} ? '\u2026' + slice(datum.label, -${most - 1}) : datum.label`;
  return {field: 'name', type: 'nominal', sort: null, title: null, axis: {labelExpr, labelLimit: 300}};
}

function bytesChart(rows, ofReference) {
  const y = tableNames();
  const layer = [{
    data: {values: rows},
    mark: {type: 'bar', height: {band: 0.6}},
    encoding: {
      y, tooltip: HINT, order: {field: 'part', sort: 'descending'},
      x: {field: 'bytes', type: 'quantitative', title: 'bytes', axis: {format: ',.0f', tickCount: 4}},
      color: {field: 'part', type: 'nominal', scale: {domain: ['values', 'scales'], range: [color('accent'), color('second')]}},
    },
  }];
  if (ofReference.length) {
    layer.push({
      data: {values: ofReference},
      mark: {type: 'tick', thickness: 3, color: color('text')},
      encoding: {y, tooltip: HINT, x: {field: 'bytes', type: 'quantitative'}},
    });
  }
  return {height: heightOf(rows, 26), layer};
}

function errorsChart(rows) {
  const x = (field) => ({field, type: 'quantitative', title: 'error of a row, % of its length', axis: {tickCount: 5}});
  const ink = color('accent');
  return {
    height: heightOf(rows, 26),
    data: {values: rows},
    encoding: {y: tableNames(), tooltip: HINT},
    layer: [
      {mark: {type: 'rule', color: ink}, encoding: {x: x('low'), x2: {field: 'high'}}},
      {mark: {type: 'bar', height: 9, color: ink}, encoding: {x: x('first'), x2: {field: 'third'}}},
      {mark: {type: 'point', filled: true, color: color('raised'), stroke: ink, size: 45, opacity: 1}, encoding: {x: x('middle')}},
      {mark: {type: 'point', shape: 'cross', filled: true, color: color('second'), size: 70, opacity: 1}, encoding: {x: x('worst')}},
    ],
  };
}

function groupsChart(bars, others, k) {
  const x = {field: 'shared', type: 'quantitative', scale: {domain: [0, k]}, title: `items of ${k} that are shared`, axis: {tickCount: 5}};
  const y = {field: 'name', type: 'nominal', sort: null, title: null};
  const layer = [{data: {values: bars}, mark: {type: 'bar', color: color('accent'), height: {band: 0.6}}, encoding: {x, y, tooltip: HINT}}];
  if (others.length) {
    layer.push({data: {values: others}, mark: {type: 'tick', thickness: 3, color: color('others')}, encoding: {x, y, tooltip: HINT}});
  }
  return {height: heightOf(bars, 30), layer};
}
