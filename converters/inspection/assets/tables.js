// The tables of a file: how they are stored, what they take, and what that took from their rows.

function tablesOf(report) {
  return report.embeddings.flatMap((embedding) => embedding.tables.map((of) => ({
    ...of, embedding, full: [embedding.name, of.name].filter(Boolean).join('/'),
  })));
}

function tablesTable(figures, reference) {
  const names = new Set(tablesOf(figures.report).map((of) => of.full));
  const ofReference = reference ? tablesOf(reference.report).filter((of) => names.has(of.full)) : [];
  const beside = ofReference.length ? new Map(ofReference.map((of) => [of.full, of])) : null;
  const titles = ['table', 'method', 'stored as', 'rows', 'width', 'bits', 'bytes',
    ...(beside ? ['in the reference'] : []), 'float32 bytes', 'median error', 'worst row'];
  const rows = tablesOf(figures.report).map((of) => ({
    cells: [
      pathName(of.full), of.embedding.method, of.storage.replaceAll('_', ' '), number(of.rows), number(of.width), number(of.bits),
      number(of.data_bytes + of.scale_bytes),
      ...(beside ? [beside.has(of.full) ? number(beside.get(of.full).data_bytes + beside.get(of.full).scale_bytes) : DASH] : []),
      number(of.float32_bytes), percent(of.median_error, 2), percent(of.worst_error, 2),
    ],
  }));
  return table(`Tables of ${figures.label}`, titles, rows);
}

function largestTables(report) {
  return tablesOf(report).sort((one, other) => other.data_bytes - one.data_bytes).slice(0, MOST_BARS);
}

function bytesRows(report) {
  return largestTables(report).flatMap((of) => [['values', of.data_bytes], ['scales', of.metadata_bytes ?? 0]]
    .map(([part, bytes]) => ({name: of.full, part, bytes, hint: [of.full, `${part}: ${number(bytes)} bytes`, `${of.storage.replaceAll('_', ' ')}`]})));
}

function errorRows(report) {
  return largestTables(report).filter((of) => of.error_quantiles).map((of) => {
    const [low, first, middle, third, high] = of.error_quantiles.map((error) => 100 * error);
    const worst = 100 * of.worst_error;
    const hint = [of.full, `median ${number(middle, 2)} %`, `half of the rows ${number(first, 2)} to ${number(third, 2)} %`,
      `90 % of the rows ${number(low, 2)} to ${number(high, 2)} %`, `worst row ${number(worst, 2)} %`];
    return {name: of.full, low, first, middle, third, high, worst, hint};
  });
}

function sharedVectors(report) {
  const found = report.embeddings.filter((of) => 'share_not_unique' in of);
  if (!found.length) return [];
  return [
    element('h3', {}, 'Ids that share their vector with another id'),
    table('Ids that share their vector with another id', ['table', 'trained', 'in the file'], found.map((of) => ({
      cells: [of.name, percent(of.share_not_unique_trained, 2), percent(of.share_not_unique, 2)],
    }))),
  ];
}

// Tables of the reference that have the names of the file's own.
function besideRows(figures, reference) {
  const names = new Set(largestTables(figures.report).map((of) => of.full));
  return tablesOf(reference.report).filter((of) => names.has(of.full)).map((of) => {
    const bytes = of.data_bytes + of.scale_bytes;
    return {name: of.full, bytes, hint: [of.full, `reference: ${number(bytes)} bytes`]};
  });
}

// The section, drawn again for each selected file.
function showTables(holder, figures, reference, leftOut) {
  const title = element('h2', {id: 'tables-title'}, `Tables of ${figures.label}`);
  if (!tablesOf(figures.report).length) {
    holder.replaceChildren(title, quiet('The file has no tables.'));
    return;
  }
  const bytesHolder = chart(`Bytes of the tables of ${figures.label}; the table above has the numbers`);
  const errors = errorRows(figures.report);
  const errorsHolder = errors.length ? chart(`Errors of the tables of ${figures.label}; the table above has the numbers`) : null;
  const beside = reference ? besideRows(figures, reference) : [];
  holder.replaceChildren(
    title,
    tablesTable(figures, reference),
    leftOut ? quiet(`${number(leftOut)} tables more are left out here: memcom inspect --json lists them all.`) : '',
    element('h3', {}, 'Bytes'),
    beside.length ? quiet('A line marks what a table of the same name takes in the reference.') : '',
    bytesHolder,
    ...(errors.length ? [
      element('h3', {}, 'Errors of rows'),
      quiet('An error is the distance of a stored row from the trained one, over the length of that: the median, half of the rows, 90 % of them, and a cross for the worst.'),
      errorsHolder,
    ] : []),
    ...sharedVectors(figures.report));
  draw(bytesHolder, bytesChart(bytesRows(figures.report), beside));
  if (errorsHolder) draw(errorsHolder, errorsChart(errors));
}
