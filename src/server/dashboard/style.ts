/** Both colour schemes; contrasts of text are 4.5 and more. Tables become cards where the screen is narrow. */
export const style = `:root {
  color-scheme: light dark;
  --paper: #fbfbfa; --card: #ffffff; --ink: #1d2126; --dim: #565d66; --line: #d5d9de; --link: #0b57b0;
  --good: #17663a; --bad: #a3201a; --warn: #7d4e00; --turn: #0b57b0;
  --bad-paper: #fdf0ef; --good-paper: #eef7f1; --before: #b9c2cc; --after: #d9a441; --accent: #0b57b0; --on-accent: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1b1f24; --ink: #e8eaed; --dim: #a8b0ba; --line: #3a424b; --link: #8ab8f5;
    --good: #7fd3a0; --bad: #ff9d96; --warn: #f0c268; --turn: #8ab8f5;
    --bad-paper: #331d1c; --good-paper: #16291e; --before: #5b6672; --after: #b98a2f; --accent: #8ab8f5; --on-accent: #10151b;
  }
}
* { box-sizing: border-box; }
html { font: 100%/1.5 system-ui, sans-serif; background: var(--paper); color: var(--ink); }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; }
main { width: 100%; max-width: 76rem; margin: 0 auto; padding: 1rem; flex: 1; overflow-wrap: break-word; }
main:focus { outline: none; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; padding: .6rem 1rem; border-bottom: 1px solid var(--line); background: var(--card); }
header nav { display: flex; gap: 1rem; }
header .who { margin-left: auto; display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.brand { font-weight: 700; color: inherit; text-decoration: none; letter-spacing: .02em; }
footer { padding: .6rem 1rem; color: var(--dim); border-top: 1px solid var(--line); }
footer p { margin: 0 auto; max-width: 76rem; }
.sandbox { margin: 0; padding: .3rem 1rem; background: var(--warn); color: var(--paper); }
.stale { position: sticky; top: 0; z-index: 1; margin: 0; padding: .5rem 1rem; background: var(--bad); color: var(--paper); font-weight: 600; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: .5rem; top: .5rem; background: var(--card); padding: .5rem; z-index: 1; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
h1 { font-size: clamp(1.2rem, 7.5vw, 1.6rem); line-height: 1.2; margin: .4rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 1.8rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1rem 0 .4rem; }
.holders, .will { overflow-wrap: anywhere; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.hint { color: var(--dim); font-size: .9rem; }
.big { font-size: 1.25rem; margin: 0 0 .6rem; }
.verdict { font-size: 1.1rem; margin: 0 0 .5rem; }
.state { font-weight: 600; }
time { white-space: nowrap; }
.good > .state, .state.good, .verdict.good { color: var(--good); }
.state.out, .tag.bad { color: var(--bad); }
.state.attention, .verdict.attention { color: var(--warn); }
.state.turning { color: var(--turn); }
.state.unknown { color: var(--dim); }
.tag { font-size: .8rem; font-weight: 400; border: 1px solid currentcolor; border-radius: .6rem; padding: 0 .4rem; color: var(--dim); }
.box { border: 1px solid var(--line); border-left: .35rem solid var(--warn); background: var(--card); padding: .5rem .8rem; margin: .6rem 0; border-radius: .25rem; }
.box p { margin: .2rem 0; }
.box.bad { border-left-color: var(--bad); background: var(--bad-paper); }
.box.good { border-left-color: var(--good); background: var(--good-paper); }
.counts, .acts, .legend, .plain { list-style: none; padding: 0; margin: 0 0 1rem; }
.counts, .acts, .legend { display: flex; flex-wrap: wrap; gap: .4rem .8rem; }
.counts a { color: inherit; text-decoration: none; border: 1px solid var(--line); border-radius: .4rem; padding: .2rem .6rem; background: var(--card); display: inline-block; }
.counts a:hover { text-decoration: underline; }
.plain { margin: 0; }
.search { display: flex; flex-wrap: wrap; gap: .5rem .6rem; align-items: end; margin: 0 0 1rem; }
.search > span { display: flex; flex-direction: column; min-width: 0; }
.search span input { width: 100%; }
.search label { align-self: center; }
.search span label { align-self: start; font-size: .9rem; color: var(--dim); }
.stack { display: flex; flex-direction: column; gap: .4rem; max-width: 34rem; margin-top: 1rem; }
.narrow { max-width: 30rem; margin: 2rem auto; }
.row { display: flex; gap: .8rem; flex-wrap: wrap; margin: .8rem 0; }
.check { margin: .3rem 0; }
input:not([type=checkbox]), select, button, .button { font: inherit; min-height: 2.6rem; padding: .3rem .7rem; border: 1px solid var(--dim); border-radius: .35rem; background: var(--card); color: var(--ink); max-width: 100%; }
input[type=checkbox] { width: 1.3rem; height: 1.3rem; vertical-align: middle; }
button, .button { cursor: pointer; text-decoration: none; display: inline-flex; align-items: center; justify-content: center; }
button:hover, .button:hover { border-color: var(--accent); }
.primary { background: var(--accent); color: var(--on-accent); border-color: var(--accent); }
.danger { border-color: var(--bad); color: var(--bad); }
button.danger { background: var(--bad); color: var(--paper); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: .5rem 1.5rem; margin: .6rem 0; }
dt { color: var(--dim); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
dd > .hint { display: block; }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
thead th { color: var(--dim); font-size: .85rem; font-weight: 600; }
.cards th[scope=row], .cards .long { overflow-wrap: anywhere; }
@media (min-width: 50.01rem) {
  .cards th[scope=row] { min-width: 8rem; }
  .cards .long { min-width: 10rem; }
  .overview td:nth-child(2) { white-space: nowrap; }
  .overview th:nth-child(5) { width: 18%; }
  .overview th:nth-child(6) { width: 34%; }
}
.pager { display: flex; gap: 1rem; margin: .8rem 0; align-items: center; }
.crumbs { margin: 0; }
.phases { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
.phases .done { color: var(--good); }
.phases .here { color: var(--turn); font-weight: 600; }
.phases .halted { color: var(--bad); font-weight: 600; }
.phases .ahead { color: var(--dim); }
.steps { padding-left: 1.4rem; }
.timeline { list-style: none; padding: 0; margin: 0; }
.timeline li, .axis { display: grid; grid-template-columns: 14rem minmax(0, 1fr); align-items: center; }
.timeline svg { width: 100%; height: 2rem; display: block; grid-column: 2; }
.timeline .lane { white-space: nowrap; color: var(--dim); }
.timeline .lane code { color: var(--ink); }
.timeline .now { stroke: var(--ink); stroke-dasharray: 3 3; }
.timeline .before, .timeline .planned { fill: none; stroke: var(--dim); stroke-width: 1.5; }
.timeline .planned { stroke-dasharray: 5 4; }
.timeline .current { fill: var(--accent); }
.timeline .after { fill: var(--after); }
.timeline svg * { vector-effect: non-scaling-stroke; }
.axis { margin: 0 0 .4rem; color: var(--dim); font-size: .85rem; grid-template-columns: 14rem repeat(2, minmax(0, 1fr)); }
.axis.ahead { grid-template-columns: 14rem repeat(2, minmax(0, 35fr)) minmax(0, 30fr); }
.axis span:first-child { grid-column: 2; }
.axis span + span { text-align: right; }
.legend { color: var(--dim); font-size: .85rem; }
.swatch { display: inline-block; width: 1.4rem; height: .8rem; vertical-align: baseline; border: 1.5px solid var(--dim); border-radius: 2px; }
.swatch.current { background: var(--accent); border-color: var(--accent); }
.swatch.after { background: var(--after); border-color: var(--after); }
.swatch.planned { border-style: dashed; }
@media (max-width: 50rem) {
  header .who { margin-left: 0; }
  table.cards, .cards tbody, .cards tr, .cards th, .cards td { display: block; }
  table.cards { border: 0; background: none; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards tr { border: 1px solid var(--line); border-radius: .35rem; background: var(--card); margin: 0 0 .7rem; padding: .3rem 0; }
  .cards th, .cards td { border: 0; padding: .2rem .7rem; }
  .cards td { position: relative; padding-left: 8.5rem; }
  .cards td::before { content: attr(data-label); position: absolute; left: .7rem; width: 7.3rem; color: var(--dim); font-size: .85rem; }
  .cards .empty { display: none; }
  .search { flex-direction: column; align-items: stretch; }
  .search.fields { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); align-items: end; }
  .search.fields select { width: 100%; }
  .search label { align-self: start; }
  .cards time { white-space: normal; }
  .timeline li { display: block; margin-bottom: .3rem; }
  .axis { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .axis.ahead { grid-template-columns: repeat(2, minmax(0, 35fr)) minmax(0, 30fr); }
  .axis span:first-child { grid-column: 1; }
}
@media (max-width: 20rem) {
  .search.fields { grid-template-columns: minmax(0, 1fr); }
  .cards td { padding-left: .7rem; }
  .cards td::before { position: static; display: block; width: auto; }
}
@media (prefers-reduced-motion: no-preference) { .phases .here > span:first-child { animation: turn 2s linear infinite; display: inline-block; } }
@keyframes turn { to { transform: rotate(1turn); } }
@media print { header form, .acts, .search, footer { display: none; } }
`

export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="11" cy="16" r="7" fill="none" stroke="#3b82d6" stroke-width="4"/><path d="M18 16h11M25 16v6" stroke="#3b82d6" stroke-width="4" fill="none"/></svg>
`
