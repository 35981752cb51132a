export default {
  "pocket-tasks": {
    input: process.env.SDK_DOCUMENT,
    output: {
      target: "client/client.ts",
      client: "fetch",
      mode: "single",
      override: { mutator: { path: "./request.ts", name: "request", extension: ".js" } },
    },
  },
};
