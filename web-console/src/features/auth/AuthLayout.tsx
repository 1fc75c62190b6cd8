import { Link, Outlet } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Logo } from "#/ui/Logo";
import css from "./auth.module.css";

/** Pages before the log-in: a form beside the product's own horizon. */
export function AuthLayout() {
  const { t } = useTranslation();
  return (
    <div className={css.layout}>
      <main className={css.side}>
        <Link to="/log-in" search={{}} className={css.brand} aria-label="LumaDB Cloud">
          <Logo />
        </Link>
        <div className={css.form}>
          <Outlet />
        </div>
      </main>
      <aside className={css.picture} aria-label={t("auth.aside")}>
        <Horizon />
        <div className={css.words}>
          <p>{t("auth.promise")}</p>
          <p>{t("auth.promiseDetail")}</p>
        </div>
      </aside>
    </div>
  );
}

const PLATTERS = [0, 1, 2, 3] as const;

function Horizon() {
  return (
    <svg viewBox="0 0 640 800" preserveAspectRatio="xMidYMid slice" fill="none" aria-hidden="true">
      <defs>
        <radialGradient id="glow" cx="50%" cy="47%" r="52%">
          <stop offset="0" stopColor="#f0a91e" stopOpacity=".42" />
          <stop offset=".55" stopColor="#b86a10" stopOpacity=".14" />
          <stop offset="1" stopColor="#16130d" stopOpacity="0" />
        </radialGradient>
        <linearGradient id="disc" x1="0" x2="0" y1="0" y2="1">
          <stop offset="0" stopColor="#ffd77c" />
          <stop offset="1" stopColor="#ee9a12" />
        </linearGradient>
      </defs>
      <rect width="640" height="800" fill="url(#glow)" />
      <path d="M196 376a124 124 0 0 1 248 0z" fill="url(#disc)" />
      {PLATTERS.map((index) => (
        <path
          key={index}
          d={`M${80 - index * 26} ${400 + index * 44}c0 ${36 + index * 5} ${108 + index * 12} ${62 + index * 8} ${240 + index * 26} ${62 + index * 8}s${240 + index * 26}-${26 + index * 3} ${240 + index * 26}-${62 + index * 8}`}
          stroke="#f6d9a0"
          strokeOpacity={0.62 - index * 0.085}
          strokeWidth={2.2 - index * 0.18}
          strokeLinecap="round"
        />
      ))}
    </svg>
  );
}
