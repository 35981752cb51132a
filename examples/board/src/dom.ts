export const app = document.getElementById("app") as HTMLElement;

/** Creates an element with properties and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export const button = (label: string, onclick: () => void, properties: Partial<HTMLButtonElement> = {}) =>
  el("button", { type: "button", textContent: label, onclick, ...properties });

export const field = (label: string, properties: Partial<HTMLInputElement>) =>
  el("label", {}, label, el("input", { required: true, ...properties }));

/** Creates a form that is disabled while it is sent, and shows why it failed. */
export function form(
  label: string,
  send: (values: Record<string, string>) => Promise<void>,
  ...fields: Node[]
): HTMLFormElement {
  const error = el("p", { className: "error", role: "alert" });
  const fieldset = el("fieldset", {}, ...fields, el("button", { textContent: label }), error);
  return el(
    "form",
    {
      ariaLabel: label,
      onsubmit: async (event) => {
        event.preventDefault();
        const values = Object.fromEntries(new FormData(event.target as HTMLFormElement)) as Record<string, string>;
        fieldset.disabled = true;
        error.textContent = "";
        await send(values).catch((thrown: Error) => (error.textContent = thrown.message));
        fieldset.disabled = false;
      },
    },
    fieldset,
  );
}

/** Shows a message until it is dismissed or its action is taken. */
export function notify(message: string, action?: { label: string; run: () => void }): void {
  const notice = el("p", {}, message);
  if (action)
    notice.append(
      button(action.label, () => {
        notice.remove();
        action.run();
      }),
    );
  notice.append(button("Dismiss", () => notice.remove()));
  document.getElementById("notices")?.append(notice);
}

/** Makes `children` the children of an element. Those in place stay untouched, and the focus stays where it is. */
export function reconcile(parent: Element, children: Element[]): void {
  const focused = document.activeElement;
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild?.remove();
  if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
}
