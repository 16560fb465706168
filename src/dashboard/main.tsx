import { render } from "preact";
import { App } from "./app.tsx";
import { applyTheme } from "./ui/theme.tsx";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/parts.css";
import "./styles/pages.css";

applyTheme();
const root = document.getElementById("app");
if (root) render(<App />, root);
