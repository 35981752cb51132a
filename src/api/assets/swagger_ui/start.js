const snippets = {
  fn: {
    // Shown beside the curl command of an executed request, which is an Immutable.js Map.
    requestSnippetGenerator_fetch: (request) => {
      const { url, method, headers, body } = request.toJS();
      const options = [`method: "${method}"`];
      if (headers && Object.keys(headers).length > 0) {
        options.push(`headers: ${indent(JSON.stringify(headers, null, 2))}`);
      }
      if (body) {
        options.push(`body: ${indent(bodyExpression(body))}`);
      }
      return [
        `const response = await fetch(${JSON.stringify(url)}, {`,
        ...options.map((option) => `  ${option},`),
        "});",
        "console.log(response.status, await response.text());",
      ].join("\n");
    },
  },
};

function bodyExpression(body) {
  try {
    return `JSON.stringify(${JSON.stringify(JSON.parse(body), null, 2)})`;
  } catch {
    // Not JSON: shown as it was typed, because the answer to it is what the reader wants to see.
    return JSON.stringify(body);
  }
}

function indent(text) {
  return text.replaceAll("\n", "\n  ");
}

// Statuses that nearly every operation has, with the same body everywhere.
const commonErrors = ["401", "406", "408", "413", "415", "429", "500", "503", "504"];

// Puts a part that few readers need behind a line that opens it.
function closed(title, { applies = () => true, isOpen = () => false } = {}) {
  return (Original, { React }) => (props) => {
    const part = React.createElement(Original, props);
    if (!applies(props)) {
      return part;
    }
    return React.createElement(
      "details",
      { className: "closed-part", open: isOpen() },
      React.createElement("summary", null, title),
      part,
    );
  };
}

const layout = {
  wrapComponents: {
    headers: closed("Headers"),
    modelExample: closed("Example", {
      applies: ({ specPath }) => commonErrors.includes(specPath.get(specPath.indexOf("responses") + 1)),
    }),
    Webhooks: closed("Webhook messages", { isOpen: () => location.hash.startsWith("#/webhooks/") }),
  },
  statePlugins: {
    spec: {
      wrapSelectors: {
        // The tag of the webhook messages has no operations under `paths`.
        taggedOperations:
          (original) =>
          (...args) =>
            original(...args).filter((tag) => tag.get("operations").size > 0),
      },
    },
  },
};

// Swagger UI has a dark mode, which this class turns on.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followColorScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followColorScheme);
followColorScheme();

window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: "none",
  persistAuthorization: true,
  plugins: [snippets, layout],
  requestSnippetsEnabled: true,
  requestSnippets: {
    generators: {
      curl_bash: { title: "curl", syntax: "bash" },
      fetch: { title: "fetch", syntax: "javascript" },
    },
    languages: ["curl_bash", "fetch"],
  },
  tryItOutEnabled: true,
  validatorUrl: null,
});
