import { expect, it } from "vitest";
import { signedHeaders } from "../../../src/webhooks/sign.ts";

it("signs as the specification's libraries do", () => {
  // The vector of the specification's own reference libraries.
  const secret = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
  const headers = signedHeaders(
    secret,
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    '{"test": 2432232314}',
    1_614_265_330_999,
  );
  expect(headers["webhook-timestamp"]).toBe("1614265330");
  expect(headers["webhook-signature"]).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});
