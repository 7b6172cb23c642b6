// The camera: opened when asked for, and closed as soon as it is not needed.

const REFUSED = {
  NotAllowedError: "The camera was refused. Allow it for this page in the browser, or choose a photo instead.",
  NotFoundError: "No camera was found. Choose a photo instead.",
  NotReadableError: "Another program uses the camera. Close it there, or choose a photo instead.",
};

/**
 * @param {(photo: File) => void} taken  gets each photo
 * @param {(text: string) => void} refused  gets why there is no camera
 */
export function camera(taken, refused) {
  const open = document.getElementById("open-camera");
  const section = document.getElementById("camera");
  const other = document.getElementById("other-camera");
  const video = section.querySelector("video");
  let shots = 0;

  function stop() {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  }

  function close() {
    stop();
    section.hidden = true;
    open.ariaExpanded = "false";
    open.focus();
  }

  const cameras = async () => (await navigator.mediaDevices.enumerateDevices()).filter((d) => d.kind === "videoinput");
  const settings = () => video.srcObject.getVideoTracks()[0].getSettings();

  /** Whether it could be opened; the one that was open before is closed: phones have one open at a time. */
  async function start(wanted) {
    stop();
    open.disabled = other.disabled = true; // a second click would open it twice, and nobody close the first
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      other.hidden = (await cameras()).length < 2;
    } catch (error) {
      close();
      refused(REFUSED[error.name] ?? `The camera can't be used (${error.name}). Choose a photo instead.`);
      return false;
    } finally {
      open.disabled = other.disabled = false;
    }
    video.classList.toggle("mirror", settings().facingMode !== "environment");
    refused("");
    return true;
  }

  open.onclick = async () => {
    if (video.srcObject) return close();
    if (!navigator.mediaDevices) {
      return refused("Browsers give pages the camera over https or on localhost only. Choose a photo instead.");
    }
    if (!await start({ facingMode: "user" })) return;
    section.hidden = false;
    open.ariaExpanded = "true";
    document.getElementById("shoot").focus();
  };

  other.onclick = async () => {
    const ids = (await cameras()).map((d) => d.deviceId);
    const next = ids[(ids.indexOf(settings().deviceId) + 1) % ids.length];
    const started = await start({ deviceId: { exact: next } });
    if (section.hidden) stop(); // closed meanwhile
    else if (started) other.focus(); // which was lost while it could not be clicked
  };

  document.getElementById("close-camera").onclick = close;
  section.onkeydown = (event) => event.key === "Escape" && close();

  document.getElementById("shoot").onclick = () => {
    if (!video.videoWidth) return; // no picture yet
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    shots += 1;
    const name = `Camera photo ${shots}`;
    canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 }).then((blob) => taken(new File([blob], name)));
  };
}
