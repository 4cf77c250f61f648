import { loadRegistriesConfig, type RegistriesConfig, registrySettings } from "../registry/config.ts";

/** What a verb was told of registries, beside what is configured. */
export interface RegistryChoices {
  /** The configuration file to read instead of the usual one. */
  readonly configFile?: string | undefined;
  /** Registries (`host[:port]`) that need not prove who they are: plain HTTP and any certificate will do. */
  readonly insecureRegistries?: readonly string[];
}

/**
 * The registries' settings: the configuration, and over it what the verb was told.
 * @throws UsageError with the file and the key that is wrong
 */
export async function chosenRegistries(choices: RegistryChoices): Promise<RegistriesConfig> {
  const { configFile, insecureRegistries = [] } = choices;
  const environment = configFile === undefined ? process.env : { ...process.env, GOCKER_CONFIG: configFile };
  const config = await loadRegistriesConfig(environment);
  if (insecureRegistries.length === 0) return config;
  const registries = new Map(config.registries);
  for (const name of insecureRegistries) {
    registries.set(name.toLowerCase(), { ...registrySettings(config, name), insecure: true });
  }
  return { ...config, registries };
}
