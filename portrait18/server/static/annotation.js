// Draws boxes and predictions onto a photo, like portrait18/deployment/annotation.py.

import { TASKS } from "./predictions.js";

const MOST_PIXELS = 16e6; // phones refuse larger canvases
const MIN_FONT_SIZE = 11; // pixels: still legible
const COLORS = ["#0072b2", "#d55e00", "#00795a", "#a3457f", "#5d3a9b", "#7a5c00"];

/** A JPEG of the photo with a box around each face and a label next to it. */
export async function annotate(image, photo) {
  const { naturalWidth, naturalHeight } = image;
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (naturalWidth * naturalHeight)));
  const width = Math.round(naturalWidth * scale);
  const height = Math.round(naturalHeight * scale);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, width, height);
  const font = Math.max(MIN_FONT_SIZE, Math.round(Math.min(width, height) / 32));
  context.font = `${font}px system-ui, sans-serif`;
  context.textBaseline = "top";
  context.lineWidth = Math.max(2, font / 6);
  const sides = [width / photo.width, height / photo.height];
  const boxes = photo.faces.map((face) => face.box.map((v, i) => v * sides[i % 2]));
  boxes.forEach(([x0, y0, x1, y1], i) => {
    context.strokeStyle = COLORS[i % COLORS.length];
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  });
  const taken = [];
  photo.faces.forEach((face, i) => {
    const lines = labelLines(face);
    const across = Math.max(...lines.map((line) => context.measureText(line).width)) + font;
    const down = (1.2 * lines.length + 0.6) * font;
    const label = placeLabel(boxes[i], [across, down], [width, height], taken);
    taken.push(label);
    context.fillStyle = COLORS[i % COLORS.length];
    context.fillRect(label[0], label[1], across, down);
    context.fillStyle = "#fff";
    lines.forEach((line, n) => {
      context.fillText(line, label[0] + font / 2, label[1] + (0.4 + 1.2 * n) * font);
    });
  });
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

/** Class and probability of each task: "mask worn 98%", "male 71%", "under 30 64%". */
function labelLines(face) {
  return Object.entries(TASKS).map(([name, [, classes]]) => {
    const { label, probabilities } = face[name];
    const word = name === "mask" ? `mask ${classes[label]}` : classes[label];
    return `${word} ${Math.round(100 * probabilities[label])}%`;
  });
}

/**
 * The rectangle of a label: above, below, next to or inside its box, within the photo. The first
 * position wins that overlaps neither other labels nor the box, else one that covers the box.
 */
function placeLabel(box, [width, height], [photoWidth, photoHeight], taken) {
  const [x0, y0, x1, y1] = box;
  const corners = [[x0, y0 - height], [x0, y1], [x1, y0], [x0 - width, y0], [x0, y0]];
  const labels = [...corners, [x0, y1 - height]].map(([x, y]) => {
    const left = Math.max(0, Math.min(x, photoWidth - width));
    const top = Math.max(0, Math.min(y, photoHeight - height));
    return [left, top, left + width, top + height];
  });
  const free = labels.filter((label) => !taken.some((other) => overlap(label, other)));
  const clear = free.filter((label) => !overlap(label, box));
  return clear[0] ?? free[0] ?? labels[0];
}

function overlap(one, other) {
  const across = one[0] < other[2] && other[0] < one[2];
  return across && one[1] < other[3] && other[1] < one[3];
}
