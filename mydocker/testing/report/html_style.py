"""The style sheet of the HTML report: light or dark as the reader's machine is, and readable on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f5f2; --sheet: #fff; --ink: #22252b; --faint: #6d727c; --line: #e3e1dc; --code: #f4f3ef;
  --passed: #2c8a57; --failed: #cf3a3a; --error: #b8640a; --skipped: #8b919c; --on: #fff;
  --good: #e9f5ee; --bad: #fcecec; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14161a; --sheet: #1c1f25; --ink: #e3e5ea; --faint: #969dab; --line: #30343d; --code: #15171c;
  --passed: #4cc38a; --failed: #ff7b72; --error: #f0a857; --skipped: #7f8796; --on: #111317;
  --good: #17291f; --bad: #331c1d; } }
* { box-sizing: border-box }
html { scroll-behavior: smooth }
body { margin: 0 auto; max-width: 72rem; padding: 0 1.5rem 4rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif }
pre, code { font: 13px/1.5 ui-monospace, "SF Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
.passed { --tone: var(--passed) } .failed { --tone: var(--failed) }
.error { --tone: var(--error) } .skipped { --tone: var(--skipped) }

header { padding: 2.5rem 0 0.5rem }
header h1 { margin: 0; font-size: 2.3rem; line-height: 1.2; letter-spacing: -0.02em; color: var(--tone) }
header p { margin: 0.3rem 0 1.2rem; color: var(--faint) }
.shares { display: flex; gap: 3px; height: 1.9rem }
.shares span { min-width: max-content; padding: 0 0.8rem; background: var(--tone); color: var(--on);
  font-weight: 600; line-height: 1.9rem; white-space: nowrap }
.shares span:first-child { border-radius: 0.6rem 0 0 0.6rem }
.shares span:last-child { border-radius: 0 0.6rem 0.6rem 0 }
.shares span:only-child { border-radius: 0.6rem }

h2 { margin: 2.2rem 0 0.7rem; font-size: 0.8rem; letter-spacing: 0.09em; text-transform: uppercase;
  color: var(--faint) }
.line, article, section > details { background: var(--sheet); border: 1px solid var(--line); border-radius: 0.6rem }
.line { padding: 0.9rem 1.2rem 0.5rem 0.6rem }
.lane, .ticks { display: flex; gap: 0.6rem }
.lane > i, .ticks > i { flex: 0 0 1.6rem; text-align: right; font-style: normal; color: var(--faint); font-size: 0.8rem;
  line-height: 1.6rem }
.lane > div, .ticks > div { position: relative; flex: 1; height: 1.6rem; margin-bottom: 3px }
.lane > div { background: linear-gradient(var(--line), var(--line)) 0 50% / 100% 1px no-repeat }
.lane a { position: absolute; top: 0; bottom: 0; min-width: 4px; overflow: hidden; border-radius: 3px;
  border: 1px solid var(--sheet); background: var(--tone); color: var(--on); font-size: 0.75rem; line-height: 1.5rem;
  text-indent: 5px; text-decoration: none; text-overflow: ellipsis; white-space: nowrap }
.lane a.early { opacity: 0.45 } .lane a:hover, .lane a:focus { outline: 2px solid var(--ink); z-index: 1 }
.ticks span { position: absolute; top: 0; transform: translateX(-50%); color: var(--faint); font-size: 0.75rem;
  font-variant-numeric: tabular-nums }
.ticks span::before { content: ""; display: block; width: 1px; height: 4px; margin: 0 auto; background: var(--faint) }

article { margin: 0.9rem 0; padding: 1rem 1.2rem; border-left: 4px solid var(--tone) }
h3 { display: flex; align-items: baseline; flex-wrap: wrap; gap: 0 0.7rem; margin: 0; font-size: 1.02rem;
  overflow-wrap: anywhere }
h3 i { width: 1.2rem; color: var(--tone); font-style: normal; font-weight: 700; text-align: center }
h3 span, h4 span { color: var(--faint); font: 12px/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }
h3 em { margin-left: auto; color: var(--faint); font-size: 0.85rem; font-style: normal; font-weight: 400;
  font-variant-numeric: tabular-nums }
h4 { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.7rem; margin: 0.9rem 0 0.35rem; font-size: 0.92rem;
  overflow-wrap: anywhere }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 0.6rem }
.sides > div { min-width: 0; display: flex; flex-direction: column }
.sides b { color: var(--passed); font-size: 0.72rem; letter-spacing: 0.06em; text-transform: uppercase }
.sides .actual b { color: var(--failed) }
pre { margin: 0.2rem 0; padding: 0.5rem 0.8rem; background: var(--code); border-radius: 0.4rem; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext }
.difference b, .difference i { font: inherit; display: inline-block; min-width: 100% }
.difference b { background: var(--good) } .difference i { background: var(--bad) }
.sides pre { flex: 1; background: var(--good) } .sides .actual pre { background: var(--bad) }
article > details { margin-top: 0.6rem } article > pre { margin-top: 0.6rem; background: var(--bad) }
summary { cursor: pointer; color: var(--faint); font-size: 0.85rem }
.again { margin: 0.8rem 0 0; color: var(--faint); font-size: 0.85rem }
.again code { padding: 0.2rem 0.5rem; background: var(--code); color: var(--ink); border-radius: 0.3rem;
  user-select: all; overflow-wrap: anywhere }
section > details { border-radius: 0; border-bottom-width: 0; padding: 0.45rem 1.2rem }
section > details:first-of-type { border-radius: 0.6rem 0.6rem 0 0 }
section > details:last-of-type { border-bottom-width: 1px; border-radius: 0 0 0.6rem 0.6rem }
section > details:only-of-type { border-radius: 0.6rem }
section > details > summary { list-style: none; color: inherit }
section > details h3 { font-size: 0.95rem; font-weight: 500 }
section > details p { margin: 0.3rem 0; color: var(--faint); font-size: 0.85rem }
:target { outline: 2px solid var(--tone); outline-offset: 2px }
@media (max-width: 42rem) { .sides { grid-template-columns: 1fr } body { padding: 0 0.8rem 3rem } }
@media print { body { max-width: none } .line, article { break-inside: avoid } }
"""
