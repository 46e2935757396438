// Before the first paint: the theme chosen last time. Without a choice, the system decides (tokens.css).
try {
  const theme = localStorage.getItem("nina-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be switched off; then the system decides.
}
