// What became of the lists of a ranker: for whom they changed, and how.

const nameOf = (comparison, id) => comparison.titles[String(id)] ?? String(id);

// A list in which the items that another list does not have are marked, in words and by colour.
function markedList(comparison, ids, others, kind, targets = []) {
  const known = new Set(others);
  return element('ol', {}, ids.map((id) => {
    const differs = others.length > 0 && !known.has(id);
    return element('li', {class: differs ? kind : false}, nameOf(comparison, id),
      differs ? element('span', {class: 'tag'}, kind === 'entered' ? '+ entered' : '\u2212 left') : null,
      targets.includes(id) ? element('span', {class: 'tag target'}, '\u2605 target') : null);
  }));
}

function besides(comparison, figures, mine, ofReference, targets = [], heading = 'h3') {
  const reference = comparison.files[comparison.reference];
  const lists = figures === reference
    ? [[`${reference.label} (reference)`, ofReference, [], '']]
    : [[`${reference.label} (reference)`, ofReference, mine, 'left'], [figures.label, mine, ofReference, 'entered']];
  return lists.map(([title, ids, others, kind]) =>
    element('div', {}, element(heading, {}, title), markedList(comparison, ids, others, kind, targets)));
}

// Users that are unfolded stay so when another file is selected.
const openUsers = new Set([0]);

function userDetails(comparison, figures, place) {
  const {history, target} = comparison.users[place];
  const mine = figures.behaviour.lists[place];
  const ofReference = comparison.files[comparison.reference].behaviour.lists[place];
  const shared = mine.filter((id) => ofReference.includes(id)).length;
  const title = `User ${place + 1} of ${comparison.users.length}: ${shared} of ${ofReference.length} items are shared`;
  const details = element('details', {open: openUsers.has(place)},
    element('summary', {}, title),
    element('div', {class: 'columns'},
      element('div', {}, element('h4', {}, 'History, the latest at the end'),
        history.length ? element('ul', {}, history.map((id) => element('li', {}, nameOf(comparison, id)))) : quiet('none'),
        target.length ? quiet(`Target: ${target.map((id) => nameOf(comparison, id)).join('; ')}`) : null),
      ...besides(comparison, figures, mine, ofReference, target, 'h4')));
  details.addEventListener('toggle', () => (details.open ? openUsers.add(place) : openUsers.delete(place)));
  return details;
}

function movedTable(comparison, title, moved) {
  const rows = moved.map((of) => ({cells: [nameOf(comparison, of.item), number(of.num_lists)]}));
  return element('div', {}, element('h3', {}, title),
    rows.length ? table(title, ['item', 'lists'], rows) : quiet('none'));
}

// Users of each group: the selected file as bars, the others as marks.
function groupRows(comparison, figures, kind) {
  const row = (of, group) => ({
    name: group.name, shared: group.shared,
    hint: [of.label, `${group.name}: ${number(group.shared, 2)} items are shared`, `${number(group.num_users)} users`],
  });
  const rest = comparison.files.filter((of, place) => of !== figures && of.behaviour && place !== comparison.reference);
  return [figures.behaviour[kind].map((group) => row(figures, group)), rest.flatMap((of) => of.behaviour[kind].map((group) => row(of, group)))];
}

const GROUP_KINDS = [
  ['by_popularity', 'By the popularity of the target', 'popularity of the target',
    'Each of head, torso and tail has a third of all interactions; the head has the fewest items.'],
  ['by_history', 'By the length of the history', 'items of the history', null],
];

function groupParts(comparison, figures) {
  const {k} = figures.agreement;
  const reference = comparison.files[comparison.reference];
  const found = GROUP_KINDS.filter(([kind]) => figures.behaviour[kind].length).map(([kind, title, axis, note]) => {
    const holder = chart(`Shared items ${title.toLowerCase()}; the table below has the numbers`);
    const recall = kind === 'by_popularity' ? `recall@${k}` : null;
    const rows = figures.behaviour[kind].map((group) => ({cells: [
      group.name, number(group.num_users), number(group.shared, 2),
      ...(recall ? [figures, reference].map((of) => number(of.metrics[`${recall} ${group.name}`], 4)) : []),
    ]}));
    const part = element('div', {}, element('h3', {}, title), note ? quiet(note) : null, holder,
      table(title, [axis, 'users', `shared of ${k}`, ...(recall ? [recall, 'of the reference'] : [])], rows));
    return {part, show: () => draw(holder, groupsChart(...groupRows(comparison, figures, kind), k))};
  });
  return found;
}

// The section, drawn again for each selected file.
function showLists(holder, comparison, figures) {
  const title = element('h2', {id: 'lists-title'}, `What became of the lists: ${figures.label}`);
  const reference = comparison.files[comparison.reference];
  if (!figures.behaviour) {
    holder.replaceChildren(title, quiet(`Its lists were not compared: ${figures.not_compared}.`));
    return;
  }
  const {agreement, behaviour} = figures;
  const isReference = figures === reference;
  const groups = isReference ? [] : groupParts(comparison, figures);
  const of = comparison.of_examples ? 'examples' : 'random histories';
  holder.replaceChildren(title,
    quiet(isReference
      ? 'This is the reference. Select another file to see what changed.'
      : `Lists of ${number(agreement.num_histories)} ${of}, held against those of ${reference.label}.`),
    isReference ? facts([['coverage of the catalogue', percent(behaviour.coverage)]]) : facts([
      [`shared of ${agreement.k} items, mean`, number(sharedItems(figures), 1)],
      ['shared in the first list of a new user', `${number(behaviour.first_shared)} of ${number(reference.behaviour.first_list.length)}`],
      ['coverage of the catalogue', `${percent(behaviour.coverage)}, reference ${percent(reference.behaviour.coverage)}`],
      ['largest difference of scores', agreement.largest_score_difference?.toPrecision(3) ?? DASH],
    ]),
    groups.length > 1 || (groups.length && comparison.files.length > 2)
      ? quiet('Bars are of this file; grey lines are of the other files.') : '',
    element('div', {class: 'columns'}, groups.map(({part}) => part)),
    element('h3', {}, 'The first list of a new user'),
    element('div', {class: 'columns'},
      ...besides(comparison, figures, behaviour.first_list, reference.behaviour.first_list, [], 'h4')),
    ...(isReference ? [] : [element('div', {class: 'columns'},
      movedTable(comparison, 'Items that entered most lists', behaviour.entered),
      movedTable(comparison, 'Items that left most lists', behaviour.left))]),
    element('h3', {}, 'Users side by side'),
    ...comparison.users.map((user, place) => userDetails(comparison, figures, place)));
  for (const {show} of groups) show();
}
