import { z } from "zod";
import { removal } from "./schemas/actions.ts";
import { auditList } from "./schemas/audit.ts";
import { bulkAnswer } from "./schemas/bulk.ts";
import {
  certificate,
  certificateDetail,
  certificateList,
  certificateRequest,
  certificateWithEvents,
} from "./schemas/certificates.ts";
import * as examples from "./schemas/examples.ts";
import {
  importDocument,
  importForecast,
  importList,
  importProgress,
  importState,
} from "./schemas/imports.ts";
import { limits } from "./schemas/limits.ts";
import { overview } from "./schemas/overview.ts";
import { session } from "./schemas/session.ts";
import { triageLine } from "./schemas/triage.ts";

/** For each shape, whole ones that /openapi.json shows beside it. */
const EXAMPLES: readonly (readonly [z.ZodType, readonly unknown[]])[] = [
  [certificateRequest, [examples.CERTIFICATE_REQUEST]],
  [certificate, [examples.CERTIFICATE]],
  [certificateList, [examples.CERTIFICATE_LIST]],
  [certificateWithEvents, [examples.CERTIFICATE_WITH_EVENTS]],
  [certificateDetail, [examples.CERTIFICATE_DETAIL]],
  [removal, [examples.REMOVAL]],
  [bulkAnswer, [examples.BULK_ANSWER]],
  [importDocument, [examples.IMPORT_DOCUMENT]],
  [importForecast, [examples.IMPORT_FORECAST]],
  [importState, [examples.IMPORT_STATE]],
  [importList, [examples.IMPORT_LIST]],
  [importProgress, [examples.IMPORT_PROGRESS]],
  [triageLine, examples.TRIAGE_LINES],
  [limits, [examples.LIMITS]],
  [overview, [examples.OVERVIEW]],
  [auditList, [examples.AUDIT_LIST]],
  [session, [examples.SESSION]],
];

/** To be called before the shapes are shown. The shapes themselves are read more often than what they look like. */
export function addExamples(): void {
  for (const [schema, list] of EXAMPLES)
    z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), examples: [...list] });
}
