// Names for what the admin's own widgets leave without one: a screen reader says them.
"use strict";

{
  const labelOf = id => document.querySelector(`label[for="${CSS.escape(id)}"]`);
  const textOf = label => label.textContent.trim().replace(/:$/, "");

  // The box of an autocomplete, and the field in it that is typed into.
  function nameAutocomplete(box) {
    const label = labelOf(box.previousElementSibling?.id || "");
    if (!label) return;
    label.id ||= `${label.htmlFor}_label`;
    const chosen = box.querySelector(".select2-selection__rendered");
    box.querySelector(".select2-selection--single")?.setAttribute("aria-labelledby", `${label.id} ${chosen.id}`);
    chosen.setAttribute("aria-label", textOf(label));
    box.querySelector(".select2-search__field")?.setAttribute("aria-label", textOf(label));
  }

  // The field of the list that opens below it, of which there is one at a time.
  function nameSearch(field) {
    const select = document.querySelector(".select2-container--open")?.previousElementSibling;
    const label = labelOf(select?.id || "");
    if (label) field.setAttribute("aria-label", textOf(label));
  }

  // Date and time share a label; which of them a field is, stands before it.
  function nameMoment(field) {
    const label = field.closest(".form-row, td")?.querySelector("label, legend");
    const kind = field.previousSibling?.textContent.trim().replace(/:$/, "") || "";
    field.setAttribute("aria-label", `${label ? textOf(label) : ""} ${kind}`.trim());
  }

  const WIDGETS = [
    [".select2-container:not(.select2-container--open > *)", nameAutocomplete],
    [".select2-dropdown .select2-search__field", nameSearch],
    [".datetime input:not([aria-label])", nameMoment],
    // In a list of its own making.
    ["ul > .select2-selection__clear", cross => cross.setAttribute("role", "listitem")],
    // Pictures whose text only an image may have.
    [".search-label-icon[aria-label]", icon => icon.setAttribute("role", "img")],
    // Its label is a picture alone.
    ["#searchbar", field => field.setAttribute("aria-label", field.form.querySelector("[type=submit]").value)],
  ];

  function nameAll() {
    for (const [selector, name] of WIDGETS) document.querySelectorAll(selector).forEach(name);
  }

  // Widgets come late, and with every row that is added.
  new MutationObserver(nameAll).observe(document.documentElement, { childList: true, subtree: true });
  nameAll();
}
