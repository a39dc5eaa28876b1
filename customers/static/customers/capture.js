// The capture form for a phone at the stand: puts each entry into the outbox, and shows the outbox.
"use strict";

const page = document.querySelector("#capture");
const form = page.querySelector("#entry");
const find = selector => page.querySelector(selector);
const person = page.dataset.person;
const NAMES = { exhibition: `capture:exhibition:${person}`, draft: `capture:draft:${person}` };
const FIELDS = ["given_name", "family_name", "company", "email", "phone", "interests", "note"];
const MAX_INTEREST = 60; // characters
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

// In the time zone of the exhibition; in the phone's if the form no longer offers it, or the browser does not know its zone.
function when(entry) {
  const zone = [...form.exhibition.options].find(option => option.value === entry.exhibition)?.dataset.zone;
  const format = timeZone => new Date(entry.visited_at).toLocaleString(document.documentElement.lang, { timeZone, timeZoneName: "short" });
  try {
    return format(zone);
  } catch {
    return format();
  }
}

function row(entry) {
  const item = find("#entry-template").content.cloneNode(true);
  const field = selector => item.querySelector(selector);
  const { refusal } = entry;
  field(".entry-name").textContent = nameOf(entry);
  field(".entry-when").textContent = when(entry);
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
  reportLast(mine.find(entry => entry.client_uuid === form.dataset.last), state);
}

// Says at the button what became of the last entry, or leads to what the person must do about it.
function reportLast(entry, state) {
  if (!form.dataset.last) return;
  if (!entry) show(find("#done"), "sent");
  else if (entry.refusal || ["logged-out", "forgery"].includes(state)) find("#outbox").scrollIntoView();
  else return;
  delete form.dataset.last;
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

function describe({ id, name, job_title: job, company }) {
  return { id, name, more: [job, company].filter(Boolean).join(", ") };
}

function hitButton(hit) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const more = document.createElement("span");
  button.type = "button";
  more.textContent = hit.more;
  button.append(hit.name, " ", more);
  button.addEventListener("click", () => { choose(hit); update(); find("#another").focus(); });
  item.append(button);
  return item;
}

async function search(text) {
  const response = await fetch(`${page.dataset.customers}?search=${encodeURIComponent(text)}`, { credentials: "same-origin" })
    .catch(() => null);
  if (text !== find("#id_search").value.trim()) return; // the text has changed
  const states = { 200: "", 401: "logged-out", 403: "refused" };
  const hits = response?.ok ? (await response.json()).customers.map(describe) : [];
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
find("#another").addEventListener("click", () => { choose(null); update(); find("#id_search").focus(); });
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

function consentBoxes() {
  return [...form.querySelectorAll("[name=consents]")];
}

function values() {
  const isNew = !find("#new-customer").hidden;
  const texts = Object.fromEntries(FIELDS.map(name => [name, form[name].value.trim()]));
  if (!isNew) for (const name of ["given_name", "family_name", "company", "email", "phone"]) texts[name] = "";
  return {
    ...texts,
    exhibition: form.exhibition.value,
    grade: form.grade.value,
    consents: consentBoxes().filter(box => box.checked).map(box => box.value),
    customer: customer ? customer.id : "",
    shown: customer ? customer.name : "",
  };
}

function fill(entry, isNew) {
  for (const name of FIELDS) form[name].value = entry[name] || "";
  for (const choice of form.grade) choice.checked = choice.value === entry.grade;
  for (const box of consentBoxes()) box.checked = (entry.consents || []).includes(box.value);
  if ([...form.exhibition.options].some(option => option.value === entry.exhibition)) {
    form.exhibition.value = entry.exhibition;
  }
  find("#id_search").value = "";
  customer = entry.customer ? { id: entry.customer, name: entry.shown, more: "" } : null;
  showNew(isNew);
  show(find("#search-state"));
  showErrors([]);
}

// The names of what the server would certainly refuse.
function findErrors(entry) {
  const isRight = {
    exhibition: entry.exhibition,
    who: entry.customer || entry.given_name || entry.family_name || entry.email || entry.phone,
    email: !entry.email || form.email.validity.valid,
    interests: entry.interests.split(",").every(word => word.trim().length <= MAX_INTEREST),
  };
  return Object.keys(isRight).filter(name => !isRight[name]);
}

function showErrors(names) {
  for (const message of form.querySelectorAll(".field-error")) {
    const isWrong = names.some(name => message.id === `${name}-error`);
    message.textContent = isWrong ? message.dataset.text : "";
    for (const input of form.querySelectorAll(`[aria-describedby~="${message.id}"]`)) {
      isWrong ? input.setAttribute("aria-invalid", "true") : input.removeAttribute("aria-invalid");
    }
  }
}

function saveDraft() {
  Outbox.write(NAMES.draft, { ...values(), isNew: !find("#new-customer").hidden });
}

// Errors go as soon as they are corrected; new ones wait for the next attempt.
function update() {
  saveDraft();
  showErrors(findErrors(values()).filter(name => find(`#${name}-error`).textContent));
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
  const errors = findErrors(entry);
  showErrors(errors);
  show(find("#done"));
  if (errors.length) {
    [...form.querySelectorAll("[aria-invalid]")].find(input => input.offsetParent).focus();
    return;
  }
  const { client_uuid = Outbox.uuid(), visited_at = new Date().toISOString() } = correcting || {};
  form.dataset.last = client_uuid;
  Outbox.write(NAMES.exhibition, entry.exhibition);
  const isStored = outbox.add({ ...entry, client_uuid, visited_at, person });
  show(find("#done"), isStored ? "kept" : "");
  correcting = null;
  find("#reasons").textContent = "";
  Outbox.remove(NAMES.draft);
  fill({ exhibition: entry.exhibition }, false);
  if (!isStored) find("#memory-only").scrollIntoView();
  else if (form.dataset.last) find("#save").scrollIntoView({ block: "nearest" });
});
form.addEventListener("input", update);
find("#send-now").addEventListener("click", () => outbox.sendAll());

const outbox = Outbox.start({ address: page.dataset.visits, person, onChange: draw });
const draft = Outbox.read(NAMES.draft);
fill(draft || { exhibition: Outbox.read(NAMES.exhibition) || form.exhibition.value }, Boolean(draft?.isNew));
show(find("#done"));
draw("waiting");
outbox.sendAll();
