/** What every page may say: buttons, failures, forms, copying. */
export const common = {
  loading: "Loading",
  cancel: "Cancel",
  save: "Save",
  done: "Done",
  on: "On",
  off: "Off",
  actions: "Actions",
  more: "Show more",
  older: "Show older",
  failure: {
    title: "That did not work",
    page: "This page cannot be shown",
    again: "It is tried again by itself every few seconds.",
    retry: "Try again",
  },
  copy: {
    action: "Copy",
    label: "Copy {{what}}",
    copied: "Copied",
    refused: "The browser refused; select and copy by hand",
  },
  secret: { show: "Show the password", hide: "Hide the password" },
  confirm: { type: "Type “{{name}}” to confirm" },
  form: {
    name: "Your name",
    nameOf: "Name",
    email: "E-mail",
    password: "Password",
    passwordHint: "At least 10 characters. A few unrelated words work well.",
    passwordShort: "At least 10 characters",
    passwordLong: "At most 128 characters",
    emailInvalid: "This is not an e-mail address",
    required: "This cannot be empty",
    pgName:
      "Lower-case letters, digits, _ and -; begins with a letter or _; at most 63 characters. Names of the system’s own are taken.",
  },
} as const;
