import { useState } from "preact/hooks";

const KEY = "certherd-theme";
const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

function stored(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? "auto";
  } catch {
    // Storage may be forbidden.
    return "auto";
  }
}

/** Puts the chosen scheme on the page; without a choice it is the system's. */
export function applyTheme(theme: Theme = stored()): void {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new Event("themechange"));
}

export function ThemePicker() {
  const [theme, setTheme] = useState<Theme>(stored);
  const choose = (next: Theme): void => {
    setTheme(next);
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // It holds for this page alone, then.
    }
    applyTheme(next);
  };
  return (
    <label class="theme">
      <span class="hidden-but-read">Colours</span>
      <select
        class="input small"
        value={theme}
        onChange={(event) => choose(THEMES.find((one) => one === event.currentTarget.value) ?? "auto")}
      >
        <option value="auto">Auto</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}
