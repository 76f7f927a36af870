const meta = (name: string): string => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";

/** An address of ours, wherever a proxy has put us. */
export const address = (path: string): string => meta("root") + path;

export const csrfToken = (): string => meta("csrf-token");
