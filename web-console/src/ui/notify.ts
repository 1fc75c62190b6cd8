import { notifications } from "@mantine/notifications";

/** A short word of success. Called only after the server said so. */
export function notifyDone(message: string): void {
  notifications.show({
    message,
    color: "neutral",
    autoClose: 4_000,
    closeButtonProps: { "aria-label": "Dismiss" },
  });
}
