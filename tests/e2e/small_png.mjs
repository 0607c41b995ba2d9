// Makes the PNG of a screenshot small: few colours, chosen by their share of the picture. For pictures with 8 bits per channel, RGB or
// RGBA, not interlaced, as Chromium takes them.

import { deflateSync, inflateSync } from 'node:zlib';

const kSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export function smallPng(png, colours = 40) {
  const { width, height, pixels } = decode(png);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = medianCut([...counts].map(([pixel, count]) => ({ rgb: [pixel >> 16, (pixel >> 8) & 255, pixel & 255], pixel, count })), colours);
  const index = new Map();
  palette.forEach(({ members }, i) => members.forEach(({ pixel }) => index.set(pixel, i)));
  const rows = Buffer.alloc(height * (width + 1)); // each begins with its filter, none
  pixels.forEach((pixel, i) => (rows[i + Math.floor(i / width) + 1] = index.get(pixel)));
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8); // 8 bits, a palette
  const chunks = [['IHDR', head], ['PLTE', Buffer.from(palette.flatMap(({ rgb }) => rgb))], ['IDAT', deflateSync(rows, { level: 9, memLevel: 9 })], ['IEND', Buffer.alloc(0)]];
  return Buffer.concat([kSignature, ...chunks.map(([type, data]) => chunk(type, data))]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; ++bit) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

function decode(png) {
  const parts = [];
  let head;
  for (let at = kSignature.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const data = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') head = data;
    if (type === 'IDAT') parts.push(data);
    at += length + 12;
  }
  const width = head.readUInt32BE(0);
  const height = head.readUInt32BE(4);
  const size = head[9] === 6 ? 4 : 3; // bytes of a pixel
  const stride = width * size;
  const data = inflateSync(Buffer.concat(parts));
  const pixels = new Uint32Array(width * height);
  let above = Buffer.alloc(stride);
  for (let y = 0; y < height; ++y) {
    const filter = data[y * (stride + 1)];
    const row = data.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    for (let x = 0; x < stride; ++x) {
      const left = x < size ? 0 : row[x - size];
      const corner = x < size ? 0 : above[x - size];
      row[x] += [0, left, above[x], (left + above[x]) >> 1, paeth(left, above[x], corner)][filter];
    }
    for (let x = 0; x < width; ++x) pixels[y * width + x] = (row[x * size] << 16) | (row[x * size + 1] << 8) | row[x * size + 2];
    above = row;
  }
  return { width, height, pixels };
}

function paeth(left, up, corner) {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

// Splits the box whose pixels differ most from their mean, again and again. Returns [{rgb, members}]; `rgb` is the most frequent
// colour.
function medianCut(all, colours) {
  const boxes = [measure(all)];
  while (boxes.length < colours) {
    boxes.sort((a, b) => b.error - a.error);
    const { members, channel, mean, error } = boxes[0];
    if (error === 0) break;
    const sides = [members.filter(({ rgb }) => rgb[channel] <= mean), members.filter(({ rgb }) => rgb[channel] > mean)];
    boxes.splice(0, 1, ...sides.map(measure));
  }
  return boxes.map(({ members }) => ({ members, rgb: members.reduce((most, one) => (one.count > most.count ? one : most)).rgb }));
}

function measure(members) {
  const total = members.reduce((sum, { count }) => sum + count, 0);
  const channels = [0, 1, 2].map((channel) => {
    const mean = members.reduce((sum, { rgb, count }) => sum + count * rgb[channel], 0) / total;
    return { channel, mean, error: members.reduce((sum, { rgb, count }) => sum + count * (rgb[channel] - mean) ** 2, 0) };
  });
  return { members, ...channels.reduce((most, one) => (one.error > most.error ? one : most)) };
}
