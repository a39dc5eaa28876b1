// The capture form for a phone at the stand: puts each entry into the outbox, and shows the outbox.
"use strict";

const page = document.querySelector("#capture");
const form = page.querySelector("#entry");
const find = selector => page.querySelector(selector);
const person = page.dataset.person;
const NAMES = { exhibition: `capture:exhibition:${person}`, draft: `capture:draft:${person}` };
const FIELDS = ["given_name", "family_name", "company", "email", "phone", "interests", "note"];
const PAUSE = 250; // milliseconds without typing before a search

let customer = null; // the chosen customer: {id, name, more}
let correcting = null; // the rejected entry in the form

// Shows only the element's texts for these states.
function show(element, ...states) {
  for (const text of element.querySelectorAll("[data-when]")) text.hidden = !states.includes(text.dataset.when);
}

// The outbox

function nameOf(entry) {
  return entry.shown || [entry.given_name, entry.family_name].join(" ").trim() || entry.email || entry.phone;
}

function row(entry) {
  const item = find("#entry-template").content.cloneNode(true);
  const field = selector => item.querySelector(selector);
  const { refusal } = entry;
  field(".entry-name").textContent = nameOf(entry);
  field(".entry-when").textContent = new Date(entry.visited_at).toLocaleString(document.documentElement.lang);
  field(".entry-actions").hidden = !refusal;
  field(".entry-reason").hidden = !refusal;
  if (refusal) field(".entry-reason").textContent = reasons(refusal).join(" ");
  field(".correct").addEventListener("click", () => correct(entry));
  const discard = field(".discard");
  discard.addEventListener("click", () => window.confirm(discard.dataset.confirm) && outbox.discard(entry));
  return item;
}

function reasons({ errors, status }) {
  return errors.length ? errors.map(error => error.detail) : [`${find("#entries").dataset.refused} ${status}`];
}

function draw(state) {
  const mine = outbox.mine();
  const others = outbox.others();
  find("#outbox").hidden = mine.length + others === 0;
  find("#kept").textContent = mine.length;
  show(find("#outbox-state"), mine.length ? state : "");
  find("#entries").replaceChildren(...mine.map(row));
  find("#others").hidden = others === 0;
  find("#others-count").textContent = others;
  find("#send-now").hidden = mine.every(entry => entry.refusal);
  find("#memory-only").hidden = !outbox.onlyInMemory();
  if (form.dataset.last && !mine.some(entry => entry.client_uuid === form.dataset.last)) {
    delete form.dataset.last;
    show(find("#done"), "sent");
  }
}

// The customer

function choose(hit) {
  customer = hit;
  find("#chosen").hidden = !hit;
  find("#search").hidden = Boolean(hit) || !find("#new-customer").hidden;
  find("#chosen-name").textContent = hit ? hit.name : "";
  find("#chosen-more").textContent = hit ? hit.more : "";
  find("#hits").replaceChildren();
}

function showNew(isNew) {
  find("#new-customer").hidden = !isNew;
  choose(isNew ? null : customer);
}

function hitButton(hit) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const more = document.createElement("span");
  button.type = "button";
  more.textContent = hit.more;
  button.append(hit.name, " ", more);
  button.addEventListener("click", () => { choose(hit); saveDraft(); find("#another").focus(); });
  item.append(button);
  return item;
}

async function search(text) {
  const response = await fetch(`${page.dataset.customers}?q=${encodeURIComponent(text)}`, { credentials: "same-origin" })
    .catch(() => null);
  if (text !== find("#id_search").value.trim()) return; // the text has changed
  const states = { 200: "", 401: "logged-out", 403: "refused" };
  const hits = response?.ok ? (await response.json()).customers : [];
  const state = response ? states[response.status] ?? "offline" : "offline";
  find("#hits").replaceChildren(...hits.map(hitButton));
  show(find("#search-state"), state || (hits.length ? "" : "none"));
}

let typing;
find("#id_search").addEventListener("input", event => {
  clearTimeout(typing);
  const text = event.target.value.trim();
  if (text) typing = setTimeout(search, PAUSE, text);
  else { find("#hits").replaceChildren(); show(find("#search-state")); }
});
// Enter must not submit a half-filled form.
find("#id_search").addEventListener("keydown", event => event.key === "Enter" && event.preventDefault());
find("#another").addEventListener("click", () => { choose(null); saveDraft(); find("#id_search").focus(); });
find("#known").addEventListener("click", () => { showNew(false); find("#id_search").focus(); });
find("#new")?.addEventListener("click", () => {
  const [given, ...family] = find("#id_search").value.trim().split(/\s+/);
  if (!form.given_name.value && !form.family_name.value && !/[\d@]/.test(given)) {
    form.given_name.value = family.length ? given : "";
    form.family_name.value = family.length ? family.join(" ") : given;
  }
  showNew(true);
  form.given_name.focus();
});

// The entry

function values() {
  const isNew = !find("#new-customer").hidden;
  const texts = Object.fromEntries(FIELDS.map(name => [name, form[name].value.trim()]));
  if (!isNew) for (const name of ["given_name", "family_name", "company", "email", "phone"]) texts[name] = "";
  return {
    ...texts,
    exhibition: form.exhibition.value,
    grade: form.grade.value,
    customer: customer ? customer.id : "",
    shown: customer ? customer.name : "",
  };
}

function fill(entry, isNew) {
  for (const name of FIELDS) form[name].value = entry[name] || "";
  for (const choice of form.grade) choice.checked = choice.value === entry.grade;
  if ([...form.exhibition.options].some(option => option.value === entry.exhibition)) {
    form.exhibition.value = entry.exhibition;
  }
  find("#id_search").value = "";
  customer = entry.customer ? { id: entry.customer, name: entry.shown, more: "" } : null;
  showNew(isNew);
  show(find("#search-state"));
}

function findProblems(entry) {
  const identified = entry.customer || entry.given_name || entry.family_name || entry.email || entry.phone;
  return [identified ? "" : "nobody", entry.exhibition ? "" : "exhibition"].filter(Boolean);
}

function saveDraft() {
  Outbox.write(NAMES.draft, { ...values(), isNew: !find("#new-customer").hidden });
}

function correct(entry) {
  correcting = entry;
  fill(entry, !entry.customer);
  find("#reasons").textContent = reasons(entry.refusal).join(" ");
  form.scrollIntoView();
}

form.addEventListener("submit", event => {
  event.preventDefault();
  const entry = values();
  const problems = findProblems(entry);
  show(find("#problems"), ...problems);
  if (problems.length) return;
  const { client_uuid = Outbox.uuid(), visited_at = new Date().toISOString() } = correcting || {};
  form.dataset.last = client_uuid;
  Outbox.write(NAMES.exhibition, entry.exhibition);
  show(find("#done"), outbox.add({ ...entry, client_uuid, visited_at, person }) ? "kept" : "");
  correcting = null;
  find("#reasons").textContent = "";
  Outbox.remove(NAMES.draft);
  fill({ exhibition: entry.exhibition }, false);
  find("#outbox").hidden || window.scrollTo(0, 0);
});
form.addEventListener("input", saveDraft);
find("#send-now").addEventListener("click", () => outbox.sendAll());

const outbox = Outbox.start({ address: page.dataset.visits, person, onChange: draw });
const draft = Outbox.read(NAMES.draft);
fill(draft || { exhibition: Outbox.read(NAMES.exhibition) || form.exhibition.value }, Boolean(draft?.isNew));
show(find("#problems"));
show(find("#done"));
draw("waiting");
outbox.sendAll();
