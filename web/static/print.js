// Buttons with data-print: the browser's own print dialog. Pages print by their menu without this.

for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());
