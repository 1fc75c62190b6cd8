import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";
import "#/i18n";

// Other work may keep the machine busy; what is waited for decides, not how long it took.
configure({ asyncUtilTimeout: 10_000 });

// What the browser has and jsdom has not.
vi.stubGlobal("matchMedia", (query: string) => ({
  matches: false,
  media: query,
  addEventListener: () => {},
  removeEventListener: () => {},
  addListener: () => {},
  removeListener: () => {},
}));
vi.stubGlobal(
  "ResizeObserver",
  class {
    observe() {}
    unobserve() {}
    disconnect() {}
  },
);
vi.stubGlobal("scrollTo", () => {});
Element.prototype.scrollIntoView = () => {};
// The editor measures text; nothing has a size here.
Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
Range.prototype.getBoundingClientRect = () => new DOMRect();
// Canvases of the charts draw nothing here.
vi.mock("#/features/overview/Plot", () => ({ default: () => null }));
vi.mock("../features/overview/Plot", () => ({ default: () => null }));

afterEach(() => {
  cleanup();
  localStorage.clear();
});
