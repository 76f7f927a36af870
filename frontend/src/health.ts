import { followChecks } from "./lib/checks";

followChecks();
