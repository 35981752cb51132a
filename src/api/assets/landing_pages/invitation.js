"use strict";

const form = document.querySelector("form");
const buttons = form.querySelectorAll("button");
const outcome = document.querySelector("#outcome");
const id = new URLSearchParams(location.search).get("id");
const { email, password, show, name } = form.elements;
const isNew = form.elements.new;

// Kept until the page is closed, so that a retry after verifying the address does not register again.
let token = null;

// textContent, so that messages are never parsed as HTML.
function report(text, failed) {
  outcome.textContent = text;
  outcome.className = failed ? "failed" : "done";
}

async function call(operation, body) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const init = { method: "POST", headers, credentials: "omit", ...(body && { body: JSON.stringify(body) }) };
  const response = await fetch(operation, init);
  // A proxy may respond without the error format, and some responses have no body.
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const text = answer?.message ?? `That did not work (${response.status}). Try again later.`;
  throw Object.assign(new Error(text), { status: response.status, code: answer?.error });
}

async function respond(verb) {
  if (!token) {
    const account = { email: email.value, password: password.value };
    const session = isNew.checked
      ? await call("v1/auth/register", { ...account, name: name.value })
      : await call("v1/auth/login", account);
    token = session.access_token;
    // The account exists now, so a retry logs in.
    isNew.checked = false;
    adapt();
  }
  await call(`v1/invitations/${encodeURIComponent(id)}/${verb}`);
}

// The session belongs to this page only.
async function leave() {
  if (!token) return;
  const left = call("v1/auth/logout");
  token = null;
  await left.catch(() => null);
}

// A new account needs a name and a new password.
function adapt() {
  name.required = isNew.checked;
  name.hidden = !isNew.checked;
  name.labels[0].hidden = !isNew.checked;
  password.autocomplete = isNew.checked ? "new-password" : "current-password";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const verb = event.submitter?.value ?? "accept";
  for (const button of buttons) button.disabled = true;
  report("", false);
  try {
    await respond(verb);
    form.remove();
    report(verb === "accept" ? "You are a member of the project now." : "You have declined the invitation.", false);
    outcome.focus();
    await leave();
  } catch (error) {
    // An expired session is replaced by the next attempt.
    if (error.status === 401) token = null;
    if (error.code === "FORBIDDEN") error.message = `This invitation is for an address other than ${email.value}.`;
    // A TypeError of fetch is a network error.
    report(error instanceof TypeError ? "The server cannot be reached. Try again later." : error.message, true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
});

show.addEventListener("change", () => {
  password.type = show.checked ? "text" : "password";
});

isNew.addEventListener("change", adapt);

// End the session of the previous account.
for (const field of [email, password, isNew]) {
  field.addEventListener("input", () => {
    leave();
  });
}

if (id) {
  form.hidden = false;
} else {
  report("This link is incomplete: it has no invitation. Open the complete link from the e-mail.", true);
}
