"use strict";
// What the page can do beyond being read: play, follow, seek, come closer, show curves, and show one voice alone.
(() => {
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const button = (text, label, properties = {}) => {
    const element = make("button", { type: "button", textContent: text, ...properties });
    if (label) element.setAttribute("aria-label", label);
    return element;
  };
  const one = (selector) => document.querySelector(selector);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const bytesOf = (text) => {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  };
  const clock = (seconds, digits = 1) => {
    const whole = Math.round(seconds * 10 ** digits);
    const rest = whole % (60 * 10 ** digits);
    const minutes = (whole - rest) / (60 * 10 ** digits);
    const hours = Math.floor(minutes / 60);
    const end = (rest / 10 ** digits).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
    return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${end}` : `${minutes}:${end}`;
  };

  const data = JSON.parse(one("#data").textContent);
  // Seconds are the player's, from 0. A stretch of a file begins later on the file's clock, which is what is written.
  const { begin, duration, starts, ends, lanes, names } = data;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const [stage, view, track] = [one(".stage"), one(".view"), one(".track")];
  const rows = [...document.querySelectorAll(".segments tbody tr")];
  const laneRows = [...track.querySelectorAll(".lane-row")];
  document.body.classList.add("live");

  // ---- the recording, and where it is

  // The attribute holds the whole recording as text. A player seeks faster in a file made of it, and some take no attribute
  // of that size.
  const audio = one("audio");
  if (audio) {
    const [head, text] = audio.getAttribute("src").split(",", 2);
    const pieces = [];
    const size = 1 << 20; // a multiple of four, so that each piece is whole bytes
    for (let start = 0; start < text.length; start += size) pieces.push(bytesOf(text.slice(start, start + size)));
    audio.src = URL.createObjectURL(new Blob(pieces, { type: head.slice(5, head.indexOf(";")) }));
    audio.preload = "auto";
    audio.controls = false;
  }
  let at = 0; // seconds; the player's own time as soon as it has one
  const ready = () => audio !== null && audio.readyState >= 1;
  const last = () => (ready() ? Math.min(duration, audio.duration) : duration);
  const position = () => (ready() && !waiting ? audio.currentTime : at);
  let waiting = audio !== null; // for the player, to be told where to begin

  function seek(seconds, play = false) {
    at = clamp(seconds, 0, last());
    if (ready()) audio.currentTime = at;
    if (play && audio) start();
    show(true);
  }

  function start() {
    audio.play().catch((error) => {
      if (error.name !== "AbortError") fail();
    });
  }

  function fail() {
    now.replaceChildren("This browser cannot play the recording in this page.");
    play.disabled = true;
  }

  const toggle = () => (audio.paused ? start() : audio.pause());

  // the last segment that has begun; -1 before the first
  function begun(seconds) {
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= seconds) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  // a player stops within a few milliseconds of where it is told to
  const SLACK = 0.01;
  function segmentAt(seconds) {
    const i = begun(seconds + SLACK);
    return i >= 0 && seconds < ends[i] ? i : -1;
  }

  // ---- the bar of buttons

  const player = one(".player");
  const play = button("▶ Play", "", { className: "play" });
  play.setAttribute("aria-keyshortcuts", "Space");
  const time = make("span", { className: "time" });
  const now = make("output");
  now.setAttribute("aria-live", "off"); // it would speak over the recording
  const closer = button("+", "Closer", { title: "Closer (+)" });
  const farther = button("−", "Farther", { title: "Farther (−)" });
  const speed = make("select", { title: "Speed" });
  speed.setAttribute("aria-label", "Speed");
  for (const each of [0.5, 0.75, 1, 1.25, 1.5, 2]) {
    speed.append(make("option", { value: each, textContent: `${each} ×`, selected: each === 1 }));
  }
  const follow = make("input", { type: "checkbox", checked: true });
  const curves = make("input", { type: "checkbox" });
  const keys = one("#keys");
  const help = button("?", "Keys", { title: "Keys (?)" });
  const group = make("div", { className: "group" }, farther, closer);
  if (audio) {
    player.append(play);
    group.prepend(speed);
    group.append(make("label", {}, follow, "follow"));
  }
  if (data.curves) group.append(make("label", {}, curves, "LLR curves"));
  group.append(help);
  player.append(time, now, group);
  player.hidden = false;
  const close = button("Close");
  keys.append(close);
  close.addEventListener("click", () => keys.close());
  help.addEventListener("click", () => keys.showModal());

  // ---- the voices, which can be shown alone

  let alone = -1;
  const shown = (i) => alone < 0 || lanes[i] === alone;
  const voices = [...document.querySelectorAll(".voices li")].map((item, lane) => {
    const pressed = button("", "", { title: `${names[lane]}: show alone` });
    pressed.append(...item.childNodes);
    pressed.setAttribute("aria-pressed", "false");
    item.append(pressed);
    pressed.addEventListener("click", () => {
      alone = alone === lane ? -1 : lane;
      voices.forEach((each, i) => each.setAttribute("aria-pressed", String(i === alone)));
      laneRows.forEach((each, i) => each.classList.toggle("faded", alone >= 0 && i !== alone));
      rows.forEach((each, i) => { each.hidden = !shown(i); });
      draw();
    });
    return pressed;
  });

  // ---- the table, whose rows play

  const verb = audio ? "Play" : "Go to";
  const starters = rows.map((row, i) => {
    const cell = row.cells[0];
    const starter = make("button", { type: "button" }, ...cell.childNodes);
    starter.setAttribute("aria-label", `${starter.textContent}: ${verb.toLowerCase()} ${names[lanes[i]]}`);
    cell.append(starter);
    return starter;
  });
  if (rows.length) {
    rows[0].parentElement.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      // who marks text to copy it does not want to hear it
      if (row && !String(getSelection())) seek(starts[row.sectionRowIndex], true);
    });
  }

  // ---- where the recording is, shown

  const cursor = make("div", { className: "cursor" });
  const mark = make("div", { className: "mark", hidden: true });
  track.append(mark, cursor);
  view.setAttribute("role", "slider");
  view.setAttribute("aria-label", "Position in the recording");
  view.setAttribute("aria-valuemin", String(begin));
  view.setAttribute("aria-valuemax", String(duration + begin));
  view.tabIndex = 0;
  let current = null;

  function show(moved = false) {
    const seconds = position();
    cursor.style.left = `${(100 * seconds) / duration}%`;
    const text = clock(seconds + begin);
    if (time.dataset.text !== text) {
      time.dataset.text = text;
      time.replaceChildren(text, make("span", { textContent: ` / ${clock(duration + begin)}` }));
    }
    const found = segmentAt(seconds);
    const changed = found !== current;
    if (changed) tell(found);
    if (changed || moved) {
      const who = found < 0 ? "" : `, ${names[lanes[found]]}`;
      view.setAttribute("aria-valuenow", (seconds + begin).toFixed(1));
      view.setAttribute("aria-valuetext", `${text} of ${clock(duration + begin)}${who}`);
    }
    keepInView(moved);
  }

  function tell(found) {
    if (current !== null && current >= 0) {
      rows[current].classList.remove("current");
      starters[current].removeAttribute("aria-current");
    }
    current = found;
    mark.hidden = found < 0;
    if (found < 0) {
      now.replaceChildren();
      return;
    }
    mark.style.left = `${(100 * starts[found]) / duration}%`;
    mark.style.width = `${(100 * (ends[found] - starts[found])) / duration}%`;
    mark.style.top = `${laneRows[lanes[found]].offsetTop}px`;
    rows[found].classList.add("current");
    starters[found].setAttribute("aria-current", "true");
    const cells = rows[found].cells;
    const probability = cells[3].textContent;
    now.replaceChildren(
      make("bdi", { className: "name", textContent: names[lanes[found]] }),
      ` ${starters[found].textContent}–${cells[1].textContent}`,
      probability === "–" ? "" : `, probability ${probability}`,
    );
    if (!follow.checked) return;
    const box = rows[found].closest(".scroll");
    const head = box.querySelector("thead").offsetHeight;
    const row = rows[found];
    if (row.offsetTop - head < box.scrollTop || row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = row.offsetTop - box.clientHeight / 3;
    }
  }

  // Playing, the view turns over when the cursor leaves it; where somebody has scrolled away it stays.
  let before = 0;
  function keepInView(moved) {
    const x = (position() / duration) * track.clientWidth;
    const [left, width] = [view.scrollLeft, view.clientWidth];
    const inside = x >= left && x <= left + width;
    const was = before >= left - 1 && before <= left + width + 1;
    if (!inside && (moved || (was && follow.checked))) view.scrollLeft = x - width * (moved ? 0.5 : 0.08);
    before = x;
  }

  let frame = 0;
  function run() {
    cancelAnimationFrame(frame);
    if (!audio || audio.paused) return;
    show();
    // steps of a quarter of a second come from the player
    if (!still.matches) frame = requestAnimationFrame(run);
  }

  if (audio) {
    const said = () => {
      play.textContent = audio.paused ? "▶ Play" : "❚❚ Pause";
      run();
      show(true);
    };
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, said);
    audio.addEventListener("timeupdate", () => show());
    audio.addEventListener("seeked", () => show());
    audio.addEventListener("error", fail);
    audio.addEventListener("loadedmetadata", () => {
      waiting = false;
      audio.playbackRate = Number(speed.value);
      if (at) audio.currentTime = clamp(at, 0, last());
    });
    play.addEventListener("click", toggle);
    speed.addEventListener("change", () => { audio.playbackRate = Number(speed.value); });
  }

  // ---- the lanes: closer and farther, and clicks

  const LEAST = 5; // seconds in view
  let zoom = 1;
  const most = Math.max(1, Math.min(duration / LEAST, 4000));

  function setZoom(wanted) {
    const width = view.clientWidth;
    const seconds = position();
    const x = (seconds / duration) * track.clientWidth - view.scrollLeft;
    const inside = x >= 0 && x <= width;
    const centre = inside ? seconds : ((view.scrollLeft + width / 2) / track.clientWidth) * duration;
    zoom = clamp(wanted, 1, most);
    track.style.width = `${100 * zoom}%`;
    view.scrollLeft = (centre / duration) * track.clientWidth - (inside ? x : width / 2);
    before = (seconds / duration) * track.clientWidth;
    farther.disabled = zoom <= 1;
    closer.disabled = zoom >= most;
    draw();
  }
  closer.addEventListener("click", () => setZoom(2 * zoom));
  farther.addEventListener("click", () => setZoom(zoom / 2));

  const secondsAt = (event) => ((event.clientX - track.getBoundingClientRect().left) / track.clientWidth) * duration;

  // the segment of a lane under the pointer, or so near that it was meant
  function hit(event) {
    const row = event.target.closest(".lane-row");
    if (!row) return -1;
    const lane = Number(row.dataset.lane);
    const seconds = secondsAt(event);
    const near = (4 / track.clientWidth) * duration;
    let best = -1;
    let least = near;
    for (let i = begun(seconds + near); i >= 0 && ends[i] >= seconds - near; i--) {
      if (lanes[i] !== lane) continue;
      const away = Math.max(starts[i] - seconds, seconds - ends[i], 0);
      if (away <= least) [best, least] = [i, away];
    }
    return best;
  }

  view.addEventListener("click", (event) => {
    const found = hit(event);
    if (found >= 0) seek(starts[found], true);
    else seek(secondsAt(event));
  });
  view.addEventListener("pointermove", (event) => {
    const found = event.pointerType === "mouse" ? hit(event) : -1;
    view.title = found < 0 ? "" : `${names[lanes[found]]}, ${clock(starts[found] + begin)}–${clock(ends[found] + begin)}`;
    // over the waveform and the scale the cursor can be dragged
    if (event.buttons === 1 && event.pointerType === "mouse" && !event.target.closest(".lane-row")) seek(secondsAt(event));
  });

  // ---- what is drawn for the stretch in view

  const canvas = make("canvas", { className: "underlay" });
  canvas.setAttribute("aria-hidden", "true");
  one(".port").prepend(canvas);
  const wave = data.wave && { step: data.wave.step, values: new Int8Array(bytesOf(data.wave.values).buffer) };
  const lines = data.curves && {
    ...data.curves,
    times: new Float32Array(bytesOf(data.curves.times).buffer),
    values: Object.entries(data.curves.values).map(([lane, text]) => [Number(lane), new Int16Array(bytesOf(text).buffer)]),
  };
  const scale = one(".scale");
  if (lines) {
    scale.textContent =
      `Curves: log-likelihood ratio of the speaker to the world model, from ${lines.low} to ${lines.high} nats a frame;` +
      " the line is 0, and there is no curve where nobody speaks.";
  }
  curves.addEventListener("change", () => {
    stage.classList.toggle("with-curves", curves.checked);
    scale.hidden = !curves.checked;
    const found = current;
    if (found !== null && found >= 0) mark.style.top = `${laneRows[lanes[found]].offsetTop}px`;
    draw();
  });

  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const colourOf = laneRows.map((row) => row.firstElementChild.style.getPropertyValue("--lane").slice(4, -1));

  let drawing = 0;
  function draw() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(drawNow);
  }

  function drawNow() {
    const [width, height] = [view.clientWidth, track.clientHeight];
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    canvas.style.height = `${height}px`;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const perSecond = track.clientWidth / duration;
    const from = view.scrollLeft / perSecond;
    const stretch = { from, to: from + width / perSecond, perSecond, width, height };
    drawScale(pen, stretch, colour, getComputedStyle(document.body).fontFamily);
    if (wave) drawWave(pen, stretch, colour);
    if (lines && curves.checked) drawCurves(pen, stretch, colour);
  }

  function drawScale(pen, { from, to, perSecond, height }, colour, font) {
    const digits = duration + begin >= 3600 ? 64 : 52;
    const step = STEPS.find((each) => each * perSecond >= 1.7 * digits) ?? 86400;
    pen.font = `12.5px ${font}`;
    pen.textBaseline = "top";
    pen.lineWidth = 1;
    for (let i = Math.floor((from + begin) / step); i * step - begin <= to; i++) {
      const at = i * step - begin;
      if (at < 0) continue;
      const x = Math.round((at - from) * perSecond) + 0.5;
      pen.strokeStyle = colour("--rule");
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, height);
      pen.stroke();
      pen.fillStyle = colour("--muted");
      const text = clock(i * step, step < 1 ? 1 : 0);
      if (at + (pen.measureText(text).width + 6) / perSecond <= duration) pen.fillText(text, x + 4, 5);
    }
  }

  function drawWave(pen, { from, perSecond, width }, colour) {
    const row = track.querySelector(".wave-row");
    const middle = row.offsetTop + row.offsetHeight / 2;
    const size = (0.46 * row.offsetHeight) / 127;
    const { values, step } = wave;
    pen.fillStyle = colour("--muted");
    for (let x = 0; x < width; x++) {
      const first = Math.floor((from + x / perSecond) / step);
      const end = Math.max(first + 1, Math.floor((from + (x + 1) / perSecond) / step));
      if (2 * first >= values.length) break;
      let [low, high] = [127, -127];
      for (let i = first; i < end && 2 * i < values.length; i++) {
        if (values[2 * i] < low) low = values[2 * i];
        if (values[2 * i + 1] > high) high = values[2 * i + 1];
      }
      pen.fillRect(x, middle - high * size - 0.5, 1, (high - low) * size + 1);
    }
  }

  function drawCurves(pen, { from, to, perSecond, width }, colour) {
    const { times, values, zero } = lines;
    let [first, end] = [times.findIndex((t) => t >= from), times.length];
    if (first < 0) first = times.length;
    first = Math.max(0, first - 2);
    while (end > first && times[end - 1] > to) end--;
    end = Math.min(times.length, end + 2);
    for (const [lane, curve] of values) {
      const row = laneRows[lane];
      const top = row.offsetTop + 5;
      const size = 0.7 * row.offsetHeight - 6;
      pen.globalAlpha = alone >= 0 && alone !== lane ? 0.25 : 1;
      pen.strokeStyle = colour("--muted");
      pen.lineWidth = 0.75;
      const middle = Math.round(top + size * (1 - zero)) + 0.5;
      pen.beginPath();
      pen.moveTo(0, middle);
      pen.lineTo(width, middle);
      pen.stroke();
      pen.strokeStyle = colour(colourOf[lane]);
      pen.lineWidth = 1.5;
      pen.lineJoin = "round";
      pen.beginPath();
      let drawn = false;
      const draw = (x, value) => {
        const y = top + size * (1 - value / 32767);
        if (drawn) pen.lineTo(x, y);
        else pen.moveTo(x, y);
        drawn = true;
      };
      // of many points within a pixel the lowest and the highest
      const dense = end - first > 2 * width;
      let [pixel, low, high] = [NaN, 32767, -1];
      const flush = () => {
        if (high < 0) return;
        draw(pixel, low);
        if (high > low) draw(pixel, high);
        [low, high] = [32767, -1];
      };
      for (let i = first; i < end; i++) {
        const x = (times[i] - from) * perSecond;
        if (curve[i] < 0) {
          if (!dense) drawn = false;
          continue;
        }
        if (!dense) {
          draw(x, curve[i]);
          continue;
        }
        if (Math.floor(x) !== pixel) {
          flush();
          if (Math.floor(x) > pixel + 2) drawn = false;
          pixel = Math.floor(x);
        }
        low = Math.min(low, curve[i]);
        high = Math.max(high, curve[i]);
      }
      flush();
      pen.stroke();
      pen.globalAlpha = 1;
    }
  }

  view.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(view);
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", draw);
  // on paper all of it is to be seen
  addEventListener("beforeprint", () => setZoom(1));

  // ---- keys

  function next() {
    const seconds = position() + SLACK;
    for (let i = begun(seconds) + 1; i < starts.length; i++) if (shown(i)) return seek(starts[i]);
  }

  function previous() {
    // shortly after a beginning the one before it is meant
    const seconds = position() - 0.3;
    for (let i = begun(seconds); i >= 0; i--) if (shown(i)) return seek(starts[i]);
    seek(0);
  }

  const does = {
    ArrowLeft: (event) => seek(position() - (event.shiftKey ? 1 : 5)),
    ArrowRight: (event) => seek(position() + (event.shiftKey ? 1 : 5)),
    ArrowUp: previous,
    ArrowDown: next,
    Home: () => seek(0),
    End: () => seek(duration),
    "+": () => setZoom(2 * zoom),
    "=": () => setZoom(2 * zoom),
    "-": () => setZoom(zoom / 2),
    "?": () => keys.showModal(),
  };

  // A button that was clicked keeps the focus, but the hand is at the space bar to pause; one that was reached by keyboard
  // is what the space bar presses.
  let clicked = null;
  addEventListener("pointerdown", (event) => { clicked = event.target.closest("button"); });
  addEventListener("keydown", (event) => { if (event.key === "Tab") clicked = null; });

  function isSpace(event) {
    if (event.key !== " " || !audio || keys.open) return false;
    const pressable = event.target.closest("button, a, input, select, textarea, [contenteditable]");
    // the list of keys keeps the focus for a moment when it is closed
    return !pressable || pressable === clicked || pressable === play || pressable === close;
  }

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || keys.open) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]")) return;
    const action = isSpace(event) ? () => event.repeat || toggle() : does[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  // Firefox presses a button when the key is let go
  addEventListener("keyup", (event) => { if (isSpace(event)) event.preventDefault(); });

  // ---- #t=12.3

  function goToAddress() {
    const found = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (found) seek(Number(found[1]) - begin);
  }
  addEventListener("hashchange", goToAddress);

  setZoom(1);
  show(true);
  goToAddress();
})();
