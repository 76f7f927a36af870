import { find } from "./dom";
import { address, request } from "./http";

const WAIT_MS = 200;
const SHOWN = 40;

interface Found {
  items: { name: string; license: string | null }[];
}

/** Names that have what is typed in the field for a network, as suggestions below it. */
export function suggestNetworks(form: HTMLFormElement): void {
  let timer = 0;
  let latest = 0;
  const suggest = async (field: HTMLInputElement): Promise<void> => {
    const mine = ++latest;
    const query = new URLSearchParams({ search: field.value, limit: String(SHOWN) });
    const response = await request(`${address("/api/v1/architectures")}?${query}`).catch(() => null);
    if (mine !== latest || !response?.ok) return;
    const { items } = (await response.json()) as Found;
    const options = items.map(({ name, license }) => {
      const option = document.createElement("option");
      option.value = name;
      if (license) option.label = `${name} (licence: ${license})`;
      return option;
    });
    find("datalist", field.parentElement?.parentElement ?? form)?.replaceChildren(...options);
  };
  form.addEventListener("input", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || field.name !== "network") return;
    window.clearTimeout(timer);
    if (field.value.trim().length > 1) timer = window.setTimeout(() => void suggest(field), WAIT_MS);
  });
}
