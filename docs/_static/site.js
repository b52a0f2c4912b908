// What the pages of the site add: a button that copies code, and code that the keyboard can scroll.
"use strict";
(() => {
  const words = document.documentElement.lang.startsWith("zh")
    ? { copy: "\u590d\u5236", copied: "\u5df2\u590d\u5236", code: "\u4ee3\u7801" }
    : { copy: "Copy", copied: "Copied", code: "Code" };

  // The code without prompts; of a session, what was typed only.
  const typed = (text) => {
    const lines = text.split("\n");
    if (!lines.some((line) => line.startsWith(">>> "))) return text;
    return lines.filter((line) => /^(>>>|\.\.\.)( |$)/.test(line)).map((line) => line.slice(4)).join("\n");
  };

  const addButton = (block, pre) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "jo-copy";
    button.textContent = words.copy;
    const text = pre.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(typed(text).trimEnd() + "\n");
      button.textContent = words.copied;
      setTimeout(() => { button.textContent = words.copy; }, 1500);
    });
    block.append(button);
  };

  // A box that is wider than its place scrolls: then it takes the focus, and has a name.
  const scrollable = () => {
    const boxes = "pre, .table-wrapper, .math-wrapper, .math, .jo-formula";
    for (const box of document.querySelector("article").querySelectorAll(boxes)) {
      if (box.scrollWidth > box.clientWidth + 1) {
        box.tabIndex = 0;
      } else {
        box.removeAttribute("tabindex");
      }
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const block of document.querySelectorAll("article div.highlight")) {
      const pre = block.querySelector("pre");
      if (pre && navigator.clipboard && !block.closest(".jo-written")) addButton(block, pre);
    }
    scrollable();
    addEventListener("resize", scrollable);
  });
})();
