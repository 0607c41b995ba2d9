// The icons: strokes on a grid of 16, in the colour of the text.

const kIcons = {
  waiting: <path d="M8 4.5v4M8 11.4v.1M8 1.5l6.5 6.5L8 14.5 1.5 8z" />,
  failed: <path d="m5.5 5.5 5 5m0-5-5 5M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z" />,
  cut: <path d="M9 1.5 4.5 9H8l-1 5.5L11.5 7H8z" />,
  stalled: <path d="M4.5 2h7M4.5 14h7M5 2c0 3.5 3 4 3 6s-3 2.500-3 6M11 2c0 3.500-3 4-3 6s3 2.500 3 6" />,
  restarting: <path d="M13.500 8A5.500 5.500 0 1 1 11.500 3.700M13.500 1.800v3h-3" />,
  running: <path d="m5.500 3.500 6.500 4.500-6.500 4.500z" fill="currentColor" />,
  starting: <path d="M8 1.500v3M8 11.500v3M1.500 8h3M11.500 8h3M3.400 3.400l2.100 2.100M10.500 10.500l2.100 2.100M3.400 12.600l2.100-2.100M10.500 5.500l2.100-2.100" />,
  stopping: <path d="M4 4h8v8H4z" stroke-dasharray="2 2" />,
  ready: <path d="M8 4.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7z" />,
  asleep: <path d="M13 9.500A5.800 5.800 0 0 1 6.500 3 5.800 5.800 0 1 0 13 9.500z" />,
  stopped: <path d="M4 4h8v8H4z" />,
  done: <path d="m3 8.500 3.500 3.500L13 4.500" />,
  town: <path d="M2 4h12M2 8h12M2 12h12" />,
  inbox: <path d="M1.500 9.500 4 3h8l2.500 6.500v3.500h-13zM1.500 9.500H5.500l1 2h3l1-2h4" />,
  start: <path d="M8 2.500v11M2.500 8h11" />,
  search: <path d="m10.500 10.500 4 4M7 2a5 5 0 1 1 0 10A5 5 0 0 1 7 2z" />,
  theme: <path d="M8 2a6 6 0 1 1 0 12zM8 2a6 6 0 1 0 0 12" fill="currentColor" fill-rule="evenodd" />,
  light: <path d="M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1" />,
  dark: <path d="M13 9.500A5.800 5.800 0 0 1 6.500 3 5.800 5.800 0 1 0 13 9.500z" />,
  auto: <path d="M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 2v12M8 5h4.500M8 8h6M8 11h4.500" />,
  out: <path d="M6 2H2.500v12H6M10 5l3 3-3 3M13 8H6" />,
  back: <path d="M10 3 5 8l5 5" />,
  more: <path d="M3.500 8h.1M8 8h.1M12.500 8h.1" stroke-width="2.500" />,
  link: <path d="M6.500 9.500a3 3 0 0 0 4.200 0l2.400-2.400a3 3 0 0 0-4.200-4.200l-1 1M9.500 6.500a3 3 0 0 0-4.200 0L2.900 8.900a3 3 0 0 0 4.200 4.200l1-1" />,
  copy: <path d="M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3" />,
  down: <path d="M8 2.500v11M3.500 9 8 13.500 12.500 9" />,
  interrupt: <path d="M5.5 3.5v9M10.5 3.5v9" />,
  clock: <path d="M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM8 4.500v4l2.500 1.500" />,
  bell: <path d="M3 12h10c-1.500-1.500-1.500-3-1.500-5a3.500 3.500 0 0 0-7 0c0 2 0 3.500-1.500 5zM6.500 14h3" />,
};

// `label` is for readers that cannot see it; without one the icon is an ornament.
export function Icon({ name, label, class: className = '' }) {
  return (
    <svg
      class={`icon ${className}`}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : 'true'}
    >
      {kIcons[name]}
    </svg>
  );
}
