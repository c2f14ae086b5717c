"use strict";
// Filters the trees. The page is complete without it.
const text = document.getElementById("text");
const errors = document.getElementById("errors");
const count = document.getElementById("count");
const trees = [...document.querySelectorAll(".tree")];
const words = new Map();
const wordsOf = (tree) => {
  if (!words.has(tree)) words.set(tree, tree.textContent.toLowerCase());
  return words.get(tree);
};
const filter = () => {
  const wanted = text.value.trim().toLowerCase();
  let shown = 0;
  for (const tree of trees) {
    tree.hidden = (errors.checked && !tree.classList.contains("bad")) || (wanted !== "" && !wordsOf(tree).includes(wanted));
    if (!tree.hidden) shown++;
  }
  count.textContent = shown === trees.length ? "" : shown + " of " + trees.length + " trees";
};
text.addEventListener("input", filter);
errors.addEventListener("change", filter);
document.getElementById("filter").hidden = trees.length === 0;
filter();
