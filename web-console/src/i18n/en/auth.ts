/** Log-in, sign-up, and the mails that both may need. */
export const auth = {
  auth: {
    aside: "About LumaDB",
    promise: "PostgreSQL, up before you have looked away.",
    promiseDetail:
      "A database of your own in well under a second, that sleeps when nobody asks and wakes with the first connection.",
  },
  logIn: {
    title: "Log in",
    lead: "Welcome back.",
    ended: "Your session has ended. Log in, and you are back where you were.",
    failed: "You are not logged in",
    forgot: "Forgot your password?",
    noAccount: "No account yet?",
  },
  signUp: {
    title: "Sign up",
    heading: "Create your account",
    lead: "Free, and no card asked for.",
    action: "Create account",
    failed: "The account was not created",
    haveAccount: "Have an account already?",
  },
  checkMail: {
    title: "Check your mail",
    yourAddress: "your address",
    verify:
      "We sent a link to <b>{{email}}</b>. Open it to confirm your address; it logs you in right away.",
    reset:
      "If <b>{{email}}</b> has an account, a link to choose a new password is on its way there.",
    hint: "Nothing there after a minute? Look into the spam folder.",
    again: "Send another mail",
    againBySignIn: "Logging in with your password sends the mail again.",
    outbox: "This cloud has no mail server: what it would send is in its outbox.",
    openOutbox: "Open the outbox",
    back: "Back to log in",
  },
  verify: {
    title: "Confirming your address",
    working: "A moment…",
    usedTitle: "This link is used up",
    used: "Links work once, and for a limited time. If your address is confirmed already, just log in; if not, logging in sends a new link.",
    failedTitle: "Your address is not confirmed yet",
  },
  forgot: {
    title: "Forgot your password?",
    lead: "Tell us your address, and we send a link to choose a new one.",
    action: "Send the link",
  },
  reset: {
    title: "Choose a new password",
    lead: "Every session of your account is ended, this device’s too.",
    password: "New password",
    action: "Set the password",
    again: "Ask for another link",
    doneTitle: "Your password is set",
    done: "All sessions are ended. Log in with the new one.",
  },
} as const;
