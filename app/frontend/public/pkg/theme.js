// Runs before the first paint, so that a chosen theme does not flash in the other one.
// Without a choice the page follows the system through CSS alone.
try {
  const theme = localStorage.getItem('membrane-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is refused: follow the system.
}
